package bfd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var authTypes = []AuthType{AuthKeyedMD5, AuthMeticulousKeyedMD5, AuthKeyedSHA1, AuthMeticulousKeyedSHA1}

func TestAuthRefusesEveryChangedBit(t *testing.T) {
	key := AuthKey{ID: 7, Secret: "correct horse"}
	for _, kind := range authTypes {
		t.Run(kind.String(), func(t *testing.T) {
			p := Packet{State: Up, DetectMultiplier: 3, MyDiscriminator: 9, YourDiscriminator: 8}
			b := key.sign(p.append(nil), kind, 41)
			var got Packet
			if err := got.decode(b); err != nil || !key.verify(b, &got) || got.Auth.Sequence != 41 || got.Auth.KeyID != 7 {
				t.Fatalf("signed packet refused: %v %+v", err, got.Auth)
			}
			if (AuthKey{ID: 7, Secret: "correct hors"}).verify(b, &got) {
				t.Error("accepted with another secret")
			}
			for i := range len(b) * 8 {
				bad := append([]byte(nil), b...)
				bad[i/8] ^= 1 << (i % 8)
				if err := got.decode(bad); err == nil && got.Auth.Type.digestLen() > 0 && key.verify(bad, &got) {
					t.Errorf("accepted with bit %d changed", i)
				}
			}
		})
	}
}

func TestAuthSequence(t *testing.T) {
	start := time.Unix(0, 0)
	for _, tt := range []struct {
		kind     AuthType
		known    bool
		rcvd     uint32
		sequence uint32
		want     bool
	}{
		{AuthKeyedSHA1, false, 0, 4000000000, true},
		{AuthKeyedSHA1, true, 100, 100, true},
		{AuthKeyedSHA1, true, 100, 109, true},
		{AuthKeyedSHA1, true, 100, 110, false},
		{AuthKeyedSHA1, true, 100, 99, false},
		{AuthKeyedSHA1, true, 1<<32 - 2, 3, true},
		{AuthKeyedMD5, true, 100, 100, true},
		{AuthMeticulousKeyedSHA1, true, 100, 100, false},
		{AuthMeticulousKeyedSHA1, true, 100, 101, true},
		{AuthMeticulousKeyedSHA1, true, 100, 109, true},
		{AuthMeticulousKeyedSHA1, true, 100, 110, false},
		{AuthMeticulousKeyedSHA1, true, 1<<32 - 1, 0, true},
		{AuthMeticulousKeyedMD5, true, 100, 100, false},
	} {
		t.Run(fmt.Sprintf("%v/%v/%d-%d", tt.kind, tt.known, tt.rcvd, tt.sequence), func(t *testing.T) {
			s := authState{known: tt.known, rcvd: tt.rcvd}
			if got := s.accept(tt.kind, tt.sequence, 3, start); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if want := tt.rcvd; !tt.want && s.rcvd != want {
				t.Errorf("a refused packet moved the sequence to %d", s.rcvd)
			}
		})
	}
}

func TestAuthForgetsAfterTwoDetectionTimes(t *testing.T) {
	start := time.Unix(0, 0)
	s := authState{known: true, rcvd: 100, lastSeen: start, horizon: 2 * time.Second}
	s.forget(start.Add(2*time.Second - 1))
	if !s.known {
		t.Fatal("forgotten too early")
	}
	s.forget(start.Add(2 * time.Second))
	if s.known {
		t.Fatal("not forgotten")
	}
}

func TestAuthKeyHidesSecret(t *testing.T) {
	k := AuthKey{ID: 3, Secret: "hush"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, Params{Auth: Auth{Type: AuthKeyedSHA1, Keys: []AuthKey{k}}}); strings.Contains(got, "hush") {
			t.Errorf("%s shows the secret: %s", format, got)
		}
	}
}
