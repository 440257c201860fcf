// Package wiretest reads UPDATE messages for tests: the product itself never looks into
// one that it receives, but a test has to see what was sent.
package wiretest
