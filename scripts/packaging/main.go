package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	when := time.Unix(seconds, 0).UTC()
	if len(args) == 0 {
		return errors.New("say what to make: archive, sbom, licences or image")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "file to write")
	under := flags.String("under", "", "folder inside the archive")
	lock := flags.String("lock", "", "package-lock.json of the pages")
	version := flags.String("version", "", "version of the image")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	one := func(make func(string) error) error {
		if flags.NArg() != 1 {
			return fmt.Errorf("%s takes one argument, not %d", args[0], flags.NArg())
		}
		return make(flags.Arg(0))
	}
	switch args[0] {
	case "archive":
		return one(func(folder string) error { return archive(*out, folder, *under, when) })
	case "sbom":
		return one(func(binary string) error { return printSBOM(os.Stdout, binary, *lock, when) })
	case "licences":
		return one(func(binary string) error { return printLicences(os.Stdout, binary, *lock) })
	case "image":
		return writeImage(*out, *version, flags.Args(), when)
	}
	return fmt.Errorf("%s is unknown", args[0])
}
