// Package private keeps files to their owner: everybody's messages, keys, uploads. On Unix that is their mode, on Windows their access list,
// which lets the owner, the administrators and the system in and is not inherited from the folder.
package private

import "os"

// Create makes a file that nobody but its owner may read, whatever the umask and the folder; one that is there is an error
// ([io/fs.ErrExist]).
func Create(path string) (*os.File, error) { return create(path) }

// Restrict takes the rights of all others from a file, or from a folder and what will be made in it.
func Restrict(path string) error { return restrict(path) }

// Readers says who beside its owner may read a file or a folder; "" is nobody. On Windows administrators and the system are not named:
// they can read everything.
func Readers(path string) (string, error) { return readers(path) }

// Strangers is [Readers] without the file's group, which may be meant for backups. Windows has no such group.
func Strangers(path string) (string, error) { return strangers(path) }

// Remedy is the command that takes the rights of others from a file.
func Remedy(path string) string { return remedy(path) }
