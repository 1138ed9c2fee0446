package store_test

import "flag"

// The tests of statements read it from os.Args, because store has a type of that name.
var _ = flag.Bool("update", false, "write the golden files of testdata/statements anew")
