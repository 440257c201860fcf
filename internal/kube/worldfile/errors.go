package worldfile

import "errors"

var (
	// ErrDamaged is wrapped by errors about files that cannot be read as they are.
	ErrDamaged = errors.New("the file is damaged")
	// ErrVersion is wrapped by errors about files of another version of the format.
	ErrVersion = errors.New("the file is of another version")
	// ErrForeign is wrapped by errors about files that are not this speaker's.
	ErrForeign = errors.New("the file is not of this speaker")
)
