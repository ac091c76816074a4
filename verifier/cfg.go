package verifier

// An analysis is what can be said about a program before its paths are
// followed.
type analysis struct{}
