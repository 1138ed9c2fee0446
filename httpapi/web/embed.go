package web

import (
	"embed"
	"io/fs"
)

// dist is what `npm run build` wrote: a folder for each page. It holds .keep alone where nobody ran it.
//
//go:embed all:dist
var dist embed.FS

// Built are the pages of this binary.
func Built() fs.FS {
	built, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is no path
	}
	return built
}
