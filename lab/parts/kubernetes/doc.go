// Command kubernetes holds the programs of Kubernetes and etcd in one binary.
// It does what the program does whose name it is started under, so one compile
// and one copy on disk serve all of them.
package main
