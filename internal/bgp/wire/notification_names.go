package wire

type notificationNames struct {
	code     string
	subcodes map[uint8]string
}

// codeNames gives the wording of the IANA registry "BGP Error (Notification) Codes" and
// its subcode registries.
func codeNames(c Code) (notificationNames, bool) {
	switch c {
	case CodeHeader:
		return notificationNames{"message header error", map[uint8]string{
			HeaderNotSynchronized: "connection not synchronized",
			HeaderBadLength:       "bad message length",
			HeaderBadType:         "bad message type",
		}}, true
	case CodeOpen:
		return notificationNames{"OPEN message error", map[uint8]string{
			OpenBadVersion:            "unsupported version number",
			OpenBadPeerAS:             "bad peer AS",
			OpenBadIdentifier:         "bad BGP identifier",
			OpenBadParameter:          "unsupported optional parameter",
			5:                         "authentication failure",
			OpenBadHoldTime:           "unacceptable hold time",
			OpenUnsupportedCapability: "unsupported capability",
			11:                        "role mismatch",
		}}, true
	case CodeUpdate:
		return notificationNames{"UPDATE message error", map[uint8]string{
			1:  "malformed attribute list",
			2:  "unrecognized well-known attribute",
			3:  "missing well-known attribute",
			4:  "attribute flags error",
			5:  "attribute length error",
			6:  "invalid ORIGIN attribute",
			7:  "AS routing loop",
			8:  "invalid NEXT_HOP attribute",
			9:  "optional attribute error",
			10: "invalid network field",
			11: "malformed AS_PATH",
		}}, true
	case CodeHoldTimer:
		return notificationNames{"hold timer expired", nil}, true
	case CodeFSM:
		return notificationNames{"finite state machine error", map[uint8]string{
			FSMInOpenSent:    "unexpected message in OpenSent state",
			FSMInOpenConfirm: "unexpected message in OpenConfirm state",
			FSMInEstablished: "unexpected message in Established state",
		}}, true
	case CodeCease:
		return notificationNames{"cease", map[uint8]string{
			CeaseMaxPrefixes:        "maximum number of prefixes reached",
			CeaseAdminShutdown:      "administrative shutdown",
			CeasePeerDeconfigured:   "peer de-configured",
			CeaseAdminReset:         "administrative reset",
			CeaseConnectionRejected: "connection rejected",
			CeaseConfigChange:       "other configuration change",
			CeaseCollision:          "connection collision resolution",
			CeaseOutOfResources:     "out of resources",
			CeaseHardReset:          "hard reset",
			CeaseBFDDown:            "BFD down",
		}}, true
	case CodeRouteRefresh:
		return notificationNames{"ROUTE-REFRESH message error", map[uint8]string{
			1: "invalid message length",
		}}, true
	case CodeSendHoldTimer:
		return notificationNames{"send hold timer expired", nil}, true
	}
	return notificationNames{}, false
}
