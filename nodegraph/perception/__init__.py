"""What networks see in images and write of them: depth, poses, segments, captions."""
