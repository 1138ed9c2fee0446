package main

import "errors"

// The measurements are those of Linux; what they need of it is refused here.

func enoughFiles(int) error { return errors.ErrUnsupported }

func writeBack() error { return errors.ErrUnsupported }
