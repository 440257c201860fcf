package members

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
)

// KeySize is the length in bytes of a gossip key made by KeyFromSecret; it selects AES-256.
const KeySize = 32

// KeyFromSecret makes the gossip key out of the content of the memberlist Secret: the first 32 bytes
// of the secret followed by the SHA-256 digest of nothing. The secret is not hashed; that is what
// MetalLB's speakers do, and who wants to gossip with them must do the same.
func KeyFromSecret(secret []byte) []byte {
	return sha256.New().Sum(bytes.Clone(secret))[:KeySize]
}

// checkKeys copies the keys, primary first, and refuses any of a length that AES does not know.
func checkKeys(primary []byte, others [][]byte) ([][]byte, error) {
	keys := [][]byte{bytes.Clone(primary)}
	for _, k := range others {
		if !slices.ContainsFunc(keys, func(have []byte) bool { return bytes.Equal(have, k) }) {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for i, k := range keys {
		if err := memberlist.ValidateKey(k); err != nil {
			return nil, fmt.Errorf("members: key %d has %d bytes: %w", i, len(k), err)
		}
	}
	return keys, nil
}

// installKeys makes ring hold exactly keys, the first of them primary, while others read it.
//
// Removing a key from the middle of a Keyring shifts the slice that readers may be using, so keys are
// only ever removed from its end. A key that stays but sits behind one that goes is taken out and put
// back; in a rotation (old; old+new; new+old; new) that never happens.
func installKeys(ring *memberlist.Keyring, keys [][]byte) error {
	for _, k := range keys {
		if err := ring.AddKey(k); err != nil {
			return fmt.Errorf("members: add key: %w", err)
		}
	}
	if err := ring.UseKey(keys[0]); err != nil {
		return fmt.Errorf("members: use key: %w", err)
	}
	held := ring.GetKeys()
	stale := slices.IndexFunc(held, func(h []byte) bool {
		return !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(h, k) })
	})
	if stale < 0 {
		return nil
	}
	for i := len(held) - 1; i >= stale; i-- {
		if err := ring.RemoveKey(held[i]); err != nil {
			return fmt.Errorf("members: remove key: %w", err)
		}
	}
	for _, k := range keys {
		if err := ring.AddKey(k); err != nil {
			return fmt.Errorf("members: add key: %w", err)
		}
	}
	return nil
}
