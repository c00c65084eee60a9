package cli

// ExitError is an error that says with which code the process should end: one
// of exitFailed, exitUsage and exitBad. It wraps what finish knows by the same
// code, so that a verb run under the root command ends the same way.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the cause's text.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }
