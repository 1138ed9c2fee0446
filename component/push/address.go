package push

import (
	"net/netip"
	"net/url"
)

// CheckURL says what is wrong with an address that secrets or texts are sent to; "" when nothing is. Plain HTTP is for this
// host only.
func CheckURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "is no address: write it like https://push.example.com/path"
	case u.Scheme == "https":
		return ""
	case u.Scheme != "http":
		return "must begin with https"
	case u.Hostname() != "localhost" && !isLoopback(u.Hostname()):
		return "must begin with https: plain HTTP shows every text on the way, and is for this host only"
	}
	return ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
