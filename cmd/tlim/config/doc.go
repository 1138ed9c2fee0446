// Package config reads tlim's configuration: the defaults, a YAML file, the environment and KEY=VALUE pairs of the command line,
// each above the one before. CONFIG.md, in the folder above, is the contract.
//
// What it promises:
//
//   - [Load] finds all that is wrong at once, each as one line that says where it stands and what to do. A configuration without
//     [Problems] is fit to run, as far as that can be told without a look at the network and at databases.
//   - An unknown key is a problem, never ignored.
//   - Nothing shows a secret: the types [Secret], [DSN] and [URL] hide themselves from printing, logs and encoders, and no problem
//     quotes what may be a part of one, however misplaced.
//   - A Config is a value that nothing changes later; a second Load makes a new one. Relative paths in it have become absolute.
//
// settings.go has the keys and the defaults; a new key is a field there, its check in check.go or a neighbour, its line in CONFIG.md
// and in deploy/tlim.yaml. The way of a value: load.go (which source counts), tree.go (YAML), assign.go (by the type, which
// values.go and secret.go define), check*.go. encoding.go and slips.go understand what editors do to files.
package config
