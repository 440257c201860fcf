package links

import "errors"

// errClosed ends a subscription whose socket the kernel or the library has closed.
var errClosed = errors.New("links: netlink subscription closed")
