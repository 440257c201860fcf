package bfd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacketBytes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		packet Packet
		wire   string
	}{
		{
			"first packet",
			Packet{State: Down, DetectMultiplier: 3, MyDiscriminator: 0x01020304,
				DesiredMinTx: time.Second, RequiredMinRx: 300 * time.Millisecond},
			"20 40 03 18 01020304 00000000 000f4240 000493e0 00000000",
		},
		{
			"up with poll and echo",
			Packet{State: Up, Poll: true, DetectMultiplier: 5, MyDiscriminator: 1, YourDiscriminator: 2,
				DesiredMinTx: 50 * time.Millisecond, RequiredMinRx: 50 * time.Millisecond,
				RequiredMinEchoRx: 50 * time.Millisecond},
			"20 e0 05 18 00000001 00000002 0000c350 0000c350 0000c350",
		},
		{
			"administratively down",
			Packet{State: AdminDown, Diagnostic: DiagAdministrativelyDown, DetectMultiplier: 3,
				MyDiscriminator: 1, YourDiscriminator: 2, DesiredMinTx: time.Second},
			"27 00 03 18 00000001 00000002 000f4240 00000000 00000000",
		},
		{
			"all other bits",
			Packet{State: Init, Diagnostic: 31, Final: true, ControlPlaneIndependent: true, Demand: true,
				DetectMultiplier: 255, MyDiscriminator: 1, YourDiscriminator: 1<<32 - 1},
			"3f 9a ff 18 00000001 ffffffff 00000000 00000000 00000000",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.packet.append(nil)
			if !bytes.Equal(b, unhex(t, tt.wire)) {
				t.Errorf("got %x, want %s", b, tt.wire)
			}
			var got Packet
			if err := got.decode(b); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.packet, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPacketErrors(t *testing.T) {
	const good = "20 c0 03 18 00000001 00000002 000f4240 000493e0 00000000"
	var p Packet
	if err := p.decode(unhex(t, good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, wire string
		want       error
	}{
		{"empty", "", errShort},
		{"cut in the header", good[:len(good)-2], errShort},
		{"length below the header", "20 c0 03 17 00000001 00000002 000f4240 000493e0 00000000", errShort},
		{"length beyond the payload", "20 c0 03 19 00000001 00000002 000f4240 000493e0 00000000", errShort},
		{"version 0", "00 c0 03 18 00000001 00000002 000f4240 000493e0 00000000", errVersion},
		{"version 2", "40 c0 03 18 00000001 00000002 000f4240 000493e0 00000000", errVersion},
		{"multiplier 0", "20 c0 00 18 00000001 00000002 000f4240 000493e0 00000000", errMultiplier},
		{"multipoint", "20 c1 03 18 00000001 00000002 000f4240 000493e0 00000000", errMultipoint},
		{"my discriminator 0", "20 c0 03 18 00000000 00000002 000f4240 000493e0 00000000", errDiscriminator},
		{"up for nobody", "20 c0 03 18 00000001 00000000 000f4240 000493e0 00000000", errNoSession},
		{"init for nobody", "20 80 03 18 00000001 00000000 000f4240 000493e0 00000000", errNoSession},
		{"auth bit without section", "20 c4 03 18 00000001 00000002 000f4240 000493e0 00000000", errAuthSection},
		{"auth section of one octet", "20 c4 03 19 00000001 00000002 000f4240 000493e0 00000000 04", errAuthSection},
		{"auth type 0", "20 c4 03 1a 00000001 00000002 000f4240 000493e0 00000000 00 02", errAuthSection},
		{"auth length too long", "20 c4 03 1a 00000001 00000002 000f4240 000493e0 00000000 04 1c", errAuthSection},
		{"SHA1 section too short", "20 c4 03 20 00000001 00000002 000f4240 000493e0 00000000 04 08 01 00 00000001", errAuthSection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Packet
			if err := p.decode(unhex(t, tt.wire)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestPacketKeepsUnknownAuthType(t *testing.T) {
	var p Packet
	err := p.decode(unhex(t, "20 c4 03 1c 00000001 00000002 000f4240 000493e0 00000000 01 04 01 61"))
	if err != nil || p.Auth.Type != 1 {
		t.Errorf("simple password: got type %v, error %v", p.Auth.Type, err)
	}
}

func genPacket(t *rapid.T) Packet {
	d := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Uint32().Draw(t, "microseconds")) * time.Microsecond
	})
	p := Packet{
		Diagnostic:              Diagnostic(rapid.Uint8Range(0, 31).Draw(t, "diagnostic")),
		State:                   State(rapid.Uint8Range(0, 3).Draw(t, "state")),
		Poll:                    rapid.Bool().Draw(t, "poll"),
		Final:                   rapid.Bool().Draw(t, "final"),
		ControlPlaneIndependent: rapid.Bool().Draw(t, "control"),
		Demand:                  rapid.Bool().Draw(t, "demand"),
		DetectMultiplier:        rapid.Uint8Range(1, 255).Draw(t, "multiplier"),
		MyDiscriminator:         rapid.Uint32Range(1, 1<<32-1).Draw(t, "mine"),
		YourDiscriminator:       rapid.Uint32Range(1, 1<<32-1).Draw(t, "yours"),
		DesiredMinTx:            d.Draw(t, "tx"),
		RequiredMinRx:           d.Draw(t, "rx"),
		RequiredMinEchoRx:       d.Draw(t, "echo"),
	}
	return p
}

func TestPacketRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genPacket(t)
		b := want.append(nil)
		if rapid.Bool().Draw(t, "signed") {
			kind := rapid.SampledFrom(authTypes).Draw(t, "type")
			key := AuthKey{ID: rapid.Uint8().Draw(t, "id"), Secret: rapid.StringN(1, 4, kind.digestLen()).Draw(t, "secret")}
			b = key.sign(b, kind, rapid.Uint32().Draw(t, "sequence"))
			var got Packet
			if err := got.decode(b); err != nil {
				t.Fatal(err)
			}
			if !key.verify(b, &got) {
				t.Fatal("own signature refused")
			}
			want.Auth = got.Auth
		}
		b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "trailer")...)
		var got Packet
		if err := got.decode(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzPacket(f *testing.F) {
	p := Packet{State: Up, DetectMultiplier: 3, MyDiscriminator: 1, YourDiscriminator: 2}
	f.Add(p.append(nil))
	for _, t := range authTypes {
		f.Add(AuthKey{ID: 1, Secret: "secret"}.sign(p.append(nil), t, 7))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if p.decode(b) != nil {
			return
		}
		n := int(b[3])
		again := p.append(nil)
		again[1] |= b[1] & flagAuth
		again[3] = b[3]
		if !bytes.Equal(again, b[:headerLen]) {
			t.Fatalf("header %x became %x", b[:headerLen], again)
		}
		if k := p.Auth.Type.digestLen(); k > 0 {
			if n != headerLen+authFixedLen+k || p.Auth.KeyID != b[headerLen+2] ||
				!bytes.Equal(p.Auth.Digest[:k], b[headerLen+authFixedLen:n]) {
				t.Fatalf("authentication section %x became %+v", b[headerLen:n], p.Auth)
			}
			AuthKey{ID: 1, Secret: "secret"}.verify(b[:n], &p) // must not panic
		}
	})
}

func TestPacketAllocations(t *testing.T) {
	key := AuthKey{ID: 1, Secret: "secret"}
	p := Packet{State: Up, DetectMultiplier: 3, MyDiscriminator: 1, YourDiscriminator: 2}
	buf := make([]byte, 0, maxPacketLen)
	n := testing.AllocsPerRun(1000, func() {
		b := key.sign(p.append(buf[:0]), AuthMeticulousKeyedSHA1, 1)
		var got Packet
		if got.decode(b) != nil || !key.verify(b, &got) {
			t.Fatal("own packet refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}
