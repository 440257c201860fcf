// Package plan tells what a change of resources would do to a cluster: which objects are
// refused, which Services get, lose or change addresses, and who announces them.
//
// It is pure. It runs the same decisions as controller and speakers on the cluster as it is
// and on the cluster as it would be, and gives the difference.
package plan
