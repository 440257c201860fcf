module github.com/lintel-lb/lintel/test/interop

go 1.26.0

require github.com/lintel-lb/lintel v0.0.0

require golang.org/x/sys v0.50.0 // indirect

replace github.com/lintel-lb/lintel => ../..
