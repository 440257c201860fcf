package bfd

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
)

// AuthType is an authentication type with its value on the wire (RFC 5880 section 4.1). The
// simple password type is left out: it sends the secret in the clear.
type AuthType uint8

// The authentication types. The meticulous ones refuse a replay of the last packet as well.
const (
	AuthNone                AuthType = 0
	AuthKeyedMD5            AuthType = 2
	AuthMeticulousKeyedMD5  AuthType = 3
	AuthKeyedSHA1           AuthType = 4
	AuthMeticulousKeyedSHA1 AuthType = 5
)

func (t AuthType) String() string {
	switch t {
	case AuthNone:
		return "none"
	case AuthKeyedMD5:
		return "keyed MD5"
	case AuthMeticulousKeyedMD5:
		return "meticulous keyed MD5"
	case AuthKeyedSHA1:
		return "keyed SHA1"
	case AuthMeticulousKeyedSHA1:
		return "meticulous keyed SHA1"
	}
	return fmt.Sprintf("AuthType(%d)", uint8(t))
}

func (t AuthType) meticulous() bool {
	return t == AuthMeticulousKeyedMD5 || t == AuthMeticulousKeyedSHA1
}

// digestLen is the length of the digest, which is also the longest secret; 0 if unknown.
func (t AuthType) digestLen() int {
	switch t {
	case AuthKeyedMD5, AuthMeticulousKeyedMD5:
		return md5.Size
	case AuthKeyedSHA1, AuthMeticulousKeyedSHA1:
		return sha1.Size
	}
	return 0
}

const (
	authFixedLen   = 8 // type, length, key id, reserved, sequence number
	md5SectionLen  = authFixedLen + md5.Size
	sha1SectionLen = authFixedLen + sha1.Size
)

// AuthKey is one secret of a session (RFC 5880 section 6.7).
type AuthKey struct {
	ID     uint8
	Secret string // 1 to 16 octets for MD5, 1 to 20 for SHA1
}

// String hides the secret.
func (k AuthKey) String() string { return fmt.Sprintf("key %d (hidden)", k.ID) }

// GoString hides the secret.
func (k AuthKey) GoString() string { return k.String() }

// Auth is the authentication of a session. The zero value is none. The first key signs, all are
// accepted, so that keys are changed without loss: add the new key at both ends, make it the first
// at both ends, remove the old one.
type Auth struct {
	Type AuthType
	Keys []AuthKey
}

// Equal reports whether both mean the same.
func (a Auth) Equal(b Auth) bool { return a.Type == b.Type && slices.Equal(a.Keys, b.Keys) }

func (a Auth) validate() error {
	if a.Type == AuthNone {
		if len(a.Keys) > 0 {
			return fmt.Errorf("auth has keys and no type: set a type or remove the keys")
		}
		return nil
	}
	n := a.Type.digestLen()
	if n == 0 {
		return fmt.Errorf("auth type %d is not supported: use keyed MD5 or SHA1", uint8(a.Type))
	}
	if len(a.Keys) == 0 {
		return fmt.Errorf("auth type %s has no key: add one", a.Type)
	}
	for i, k := range a.Keys {
		if len(k.Secret) < 1 || len(k.Secret) > n {
			return fmt.Errorf("auth key %d has %d octets: %s takes 1 to %d", k.ID, len(k.Secret), a.Type, n)
		}
		if slices.ContainsFunc(a.Keys[:i], func(o AuthKey) bool { return o.ID == k.ID }) {
			return fmt.Errorf("auth key id %d is given twice: make ids unique", k.ID)
		}
	}
	return nil
}

// AuthSection is the authentication section of a packet (RFC 5880 sections 4.3 and 4.4).
type AuthSection struct {
	Type     AuthType
	KeyID    uint8
	Sequence uint32
	Digest   [sha1.Size]byte // MD5 uses the first 16 octets
}

// decode reads a section that fills b. A type of unknown layout keeps its number only, so that the
// packet can be refused for its type.
func (a *AuthSection) decode(b []byte) error {
	if len(b) < 2 || int(b[1]) != len(b) || b[0] == 0 {
		return errAuthSection
	}
	a.Type = AuthType(b[0])
	n := a.Type.digestLen()
	if n == 0 {
		return nil
	}
	if len(b) != authFixedLen+n {
		return errAuthSection
	}
	a.KeyID = b[2]
	a.Sequence = binary.BigEndian.Uint32(b[4:])
	copy(a.Digest[:], b[authFixedLen:])
	return nil
}

// sign appends the section to the packet in b, sets the A bit and the length.
func (k AuthKey) sign(b []byte, t AuthType, sequence uint32) []byte {
	n := t.digestLen()
	b[1] |= flagAuth
	b[3] = uint8(headerLen + authFixedLen + n)
	b = append(b, uint8(t), uint8(authFixedLen+n), k.ID, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	var digest [sha1.Size]byte
	copy(digest[:], k.Secret)
	b = append(b, digest[:n]...)
	k.digest(b, t, &digest)
	copy(b[len(b)-n:], digest[:n])
	return b
}

// digest hashes the packet in b, whose digest field holds the padded secret.
func (k AuthKey) digest(b []byte, t AuthType, out *[sha1.Size]byte) {
	if t.digestLen() == md5.Size {
		sum := md5.Sum(b)
		copy(out[:], sum[:])
		return
	}
	*out = sha1.Sum(b)
}

// verify reports whether the packet p, decoded from b, carries the digest of the key.
func (k AuthKey) verify(b []byte, p *Packet) bool {
	n := p.Auth.Type.digestLen()
	end := headerLen + authFixedLen
	var buf [maxPacketLen]byte
	signed := buf[:end+n]
	copy(signed, b[:end])
	copy(signed[end:], k.Secret)
	var digest [sha1.Size]byte
	k.digest(signed, p.Auth.Type, &digest)
	return subtle.ConstantTimeCompare(digest[:n], p.Auth.Digest[:n]) == 1
}
