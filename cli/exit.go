package cli

// Exit codes, a contract with scripts.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
	exitBad    = 10 // asked, and the answer is bad
)

// usageError is a mistake in the command line itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// badAnswer is no failure: the question was answered, and the answer is bad.
// What there is to say has been written already.
type badAnswer struct{ why string }

func (e *badAnswer) Error() string { return e.why }

// BadAnswer is the error of a question that was answered badly; the process
// ends with code 10.
func BadAnswer(why string) error { return &badAnswer{why} }
