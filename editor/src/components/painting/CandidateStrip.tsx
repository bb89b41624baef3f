export function CandidateStrip() { return null; }
