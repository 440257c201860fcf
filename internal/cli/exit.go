package cli

import "errors"

// coded is an error with an exit code of its own. Without a cause it says nothing.
type coded struct {
	code  int
	cause error
}

func (c *coded) Error() string {
	if c.cause == nil {
		return ""
	}
	return c.cause.Error()
}

func (c *coded) Unwrap() error { return c.cause }

// ExitCode is the code that the program ends with after an error: 1 unless the verb has
// another one.
func ExitCode(err error) int {
	var c *coded
	if errors.As(err, &c) {
		return c.code
	}
	return 1
}
