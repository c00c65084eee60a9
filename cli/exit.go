package cli

// Exit codes of every verb.
const (
	ExitFailed = 1  // it did not work
	ExitUsage  = 2  // it was asked for in a way that makes no sense
	ExitBad    = 10 // it worked, and the answer is bad
)

// ExitError is an error that says with which code the process should end.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the cause's text.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }
