package members

import (
	"bytes"
	"encoding/hex"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/memberlist"
)

func TestKeyFromSecret(t *testing.T) {
	// What MetalLB 0.16 derives: the secret, then the start of the SHA-256 digest of nothing.
	tests := []struct{ secret, want string }{
		{"AAAAAAAAAAAAAAAAAAAAAA", hex.EncodeToString([]byte("AAAAAAAAAAAAAAAAAAAAAA")) + "e3b0c44298fc1c149afb"},
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"0123456789abcdef0123456789abcdefXYZ", hex.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))},
	}
	for _, tt := range tests {
		secret := append(make([]byte, 0, 64), tt.secret...)
		if got := hex.EncodeToString(KeyFromSecret(secret)); got != tt.want {
			t.Errorf("key of %q is %s, want %s", tt.secret, got, tt.want)
		}
		if spare := secret[len(secret):cap(secret)]; !bytes.Equal(spare, make([]byte, len(spare))) {
			t.Errorf("the memory behind secret %q was written to", tt.secret)
		}
	}
}

func TestInstallKeys(t *testing.T) {
	k := func(c byte) []byte { return bytes.Repeat([]byte{c}, KeySize) }
	ring, err := memberlist.NewKeyring(nil, k('a'))
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	stop := make(chan struct{})
	reader.Go(func() { // as memberlist reads it; the race detector watches
		for n := 0; ; {
			for _, key := range ring.GetKeys() {
				n += len(key)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for _, want := range []string{"ab", "ba", "b", "bcd", "bd", "db", "abcd", "dc", "x"} {
		var keys [][]byte
		for i := range len(want) {
			keys = append(keys, k(want[i]))
		}
		if err := installKeys(ring, keys); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, key := range ring.GetKeys() {
			got = append(got, key[0])
		}
		if got[0] != want[0] {
			t.Errorf("want primary %c of %s, have %s", want[0], want, got)
		}
		slices.Sort(got)
		sorted := []byte(want)
		slices.Sort(sorted)
		if !bytes.Equal(got, sorted) {
			t.Errorf("want keys %s, have %s", want, got)
		}
	}
	close(stop)
	reader.Wait()
}

func TestCheckKeys(t *testing.T) {
	if _, err := checkKeys([]byte("short"), nil); err == nil {
		t.Error("a key of 5 bytes was accepted")
	}
	key, other := KeyFromSecret([]byte("one")), KeyFromSecret([]byte("two"))
	keys, err := checkKeys(key, [][]byte{other, key, other})
	if err != nil || len(keys) != 2 {
		t.Errorf("want two keys, have %d, %v", len(keys), err)
	}
	key[0]++
	if bytes.Equal(keys[0], key) {
		t.Error("the caller's memory is used")
	}
}
