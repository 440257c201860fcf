package lb

import (
	"fmt"
	"strconv"
	"strings"
)

// Community is a standard community (RFC 1997), a large community (RFC 8092) or an extended
// community (RFC 4360).
type Community struct {
	// Large and Extended tell the kind. A standard community uses the low 16 bits of A and B.
	Large   bool
	A, B, C uint32
	// Extended is the whole of an extended community, and 0 for the other kinds. (extension)
	Extended uint64
}

// String gives "a:b", "large:a:b:c", "rt:a:b", "soo:a:b" or "extended:0x" with 16 digits.
func (c Community) String() string {
	if c.Extended != 0 {
		return extendedText(c.Extended)
	}
	if c.Large {
		return fmt.Sprintf("large:%d:%d:%d", c.A, c.B, c.C)
	}
	return fmt.Sprintf("%d:%d", c.A, c.B)
}

// MarshalText writes String.
func (c Community) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads String.
func (c *Community) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCommunity(string(b))
	return err
}

// ParseCommunity reads "u16:u16" or "large:u32:u32:u32", all decimal, or an extended community
// as "rt:ADMIN:NUMBER", "soo:ADMIN:NUMBER" or "extended:0x" with 16 hexadecimal digits.
func ParseCommunity(s string) (Community, error) {
	if isExtended(s) {
		return parseExtended(s)
	}
	parts := strings.Split(s, ":")
	switch {
	case len(parts) == 2:
		a, errA := strconv.ParseUint(parts[0], 10, 16)
		b, errB := strconv.ParseUint(parts[1], 10, 16)
		if errA != nil || errB != nil {
			return Community{}, fmt.Errorf("invalid community value %q: both parts must be numbers from 0 to 65535", s)
		}
		return Community{A: uint32(a), B: uint32(b)}, nil
	case len(parts) == 4 && parts[0] == "large":
		var n [3]uint32
		for i, p := range parts[1:] {
			v, err := strconv.ParseUint(p, 10, 32)
			if err != nil {
				return Community{}, fmt.Errorf("invalid community value %q: the three parts after large: must be numbers from 0 to 4294967295", s)
			}
			n[i] = uint32(v)
		}
		return Community{Large: true, A: n[0], B: n[1], C: n[2]}, nil
	}
	return Community{}, fmt.Errorf("invalid community format %q: want NUMBER:NUMBER or large:NUMBER:NUMBER:NUMBER", s)
}
