package httpapi

import (
	"net/url"
	"regexp"
	"strings"
)

// pictureID is a file's id, of this system or the old one.
var pictureID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.-]*$`)

// pictureFile is a path of a picture.
var pictureFile = regexp.MustCompile(`[^/]\.(png|jpe?g|gif|webp|bmp)$`)

// isPicture says whether a text can be the picture of a session: empty, a file's id, a link to a download of ours, a picture
// file of the site, or an http or https address. Clients put it into pages as it is: a javascript:, data: or file: address, or one that ends an attribute,
// would be carried out at all members.
func (a *API) isPicture(pic string) bool {
	if pic == "" || pictureID.MatchString(pic) {
		return true
	}
	if strings.ContainsFunc(pic, func(r rune) bool { return r <= ' ' || r == 0x7F || strings.ContainsRune("\"'<>\\`", r) }) {
		return false
	}
	u, err := url.Parse(pic)
	switch {
	case err != nil:
		return false
	case u.Scheme == "http", u.Scheme == "https":
		return u.Host != "" && u.User == nil && u.Opaque == ""
	case u.Scheme != "" || u.Host != "" || strings.HasPrefix(pic, "//"):
		return false
	}
	path, ok := canonical("/" + u.EscapedPath())
	if ok && u.RawQuery == "" && pictureFile.MatchString(path) { // of the site: without a query it does nothing but to be shown
		return true
	}
	for _, prefix := range append([]string{"", base[:len(base)-1]}, a.cfg.Files.Prefixes...) {
		for _, rt := range a.fileRoutes() {
			if rt.answer == nil && ok && path == lower(prefix+"/"+rt.path) {
				return true
			}
		}
	}
	return false
}
