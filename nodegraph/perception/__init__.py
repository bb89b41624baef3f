"""What networks see in pictures and write of them: depth, poses, segments, captions."""
