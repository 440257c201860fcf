package wire

import "encoding/binary"

// Subtypes of a ROUTE-REFRESH (RFC 7313).
const (
	RefreshRequest uint8 = iota
	RefreshBegin
	RefreshEnd
)

// RouteRefresh is a ROUTE-REFRESH message (RFC 2918).
type RouteRefresh struct {
	Family  Family
	Subtype uint8
}

// Append appends the message.
func (r RouteRefresh) Append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, TypeRouteRefresh)
	dst = binary.BigEndian.AppendUint16(dst, r.Family.AFI())
	dst = append(dst, r.Subtype, r.Family.SAFI())
	return finish(dst, start)
}

// ParseRouteRefresh reads the body of a ROUTE-REFRESH. Outbound route filters after the
// fixed part are not looked at: their capability is never offered.
func ParseRouteRefresh(body []byte) (RouteRefresh, error) {
	if len(body) < routeRefreshLen-HeaderLen {
		return RouteRefresh{}, fail(CodeRouteRefresh, 1, body, "ROUTE-REFRESH with %d octets of body", len(body))
	}
	return RouteRefresh{Family: NewFamily(binary.BigEndian.Uint16(body), body[3]), Subtype: body[2]}, nil
}
