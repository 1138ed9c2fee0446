package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"tlim/httpapi"
	"tlim/httpapi/web"
)

// minKey keeps keys out that can be guessed.
const minKey = 16

func (c *Config) checkHTTP(p *Problems) {
	h := &c.HTTP
	checkAddress(p, "http.listen", h.Listen)
	checkAddress(p, "metrics.listen", c.Metrics.Listen)
	if h.Listen == c.Metrics.Listen && !strings.HasSuffix(h.Listen, ":0") {
		p.add("metrics.listen: is http.listen as well; profiles and metrics need an address of their own")
	}
	if (h.TLS.CertFile == "") != (h.TLS.KeyFile == "") {
		p.add("http.tls: cert_file and key_file belong together")
	}
	if len(h.AllowFrom) > 0 && !h.Open() {
		p.add("http.allow_from: limits callers without a key, and http.allow_anonymous is none; set it to clients or all, or leave allow_from away")
	}
	for _, r := range h.TrustedProxies {
		if r.Prefix == netip.PrefixFrom(r.Addr(), 0) {
			p.add("http.trusted_proxies: %s lets every caller claim any address", r)
		}
	}
	if len(h.Keys) == 0 && h.KeyFile == "" {
		p.add("http.key_file: is needed while http.keys is empty: the first start writes an admin key there")
	}
	if h.AccessLog && (c.Log.Level == LogWarn || c.Log.Level == LogError) {
		p.add("http.access_log: its lines have the level info, and log.level is %s: set that to info, or http.access_log to off", c.Log.Level)
	}
	names, values := map[string]bool{}, map[string]bool{}
	var robots []httpapi.Robot
	for i, k := range h.Keys {
		at := "http.keys[" + strconv.Itoa(i) + "]"
		if k.Name == "" {
			p.add("%s: has no name", at)
		} else if names[k.Name] {
			p.add("%s: the name %s is given twice", at, quoted(k.Name))
		} else if httpapi.ReservedName(k.Name) {
			p.add("%s: the name %s stands for callers without a key; choose another", at, quoted(k.Name))
		}
		switch text := k.Key.Reveal(); {
		case text == "":
			p.add("%s: has no key; give key or key_file", at)
		case len(text) < minKey || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
			p.add("%s: the key must be %d or more ASCII characters without blanks", at, minKey)
		case values[text]:
			p.add("%s: another name has the same key", at)
		}
		names[k.Name], values[k.Key.Reveal()] = true, true
		if len(k.Scopes) == 0 {
			p.add("%s: has no scopes; business or admin", at)
		}
		for _, s := range k.Scopes {
			if s != "business" && s != "admin" {
				p.add("%s: scope %s is neither business nor admin", at, quoted(s))
			}
		}
		if k.Rate < 0 {
			p.add("%s: rate is negative; calls a second, 0 for no limit", at)
		}
		if robot := httpapi.Robot(k.Robot); robot != (httpapi.Robot{}) {
			if err := robot.Check(); err != nil {
				p.add("%s: robot: %v", at, err)
			}
			for _, other := range robots {
				if same, it := robot.Same(other); it && !same {
					p.add("%s: robot: another key declares %s otherwise; two keys may share a robot if both have the same id and name", at, quoted(robot.ID))
				}
			}
			robots = append(robots, robot)
		}
	}
	for _, host := range h.Hosts {
		if host != "*" && (host == "" || strings.ContainsAny(host, ":/*[]@ \t") || (&url.URL{Host: host}).Hostname() != host) {
			p.add("http.hosts: %s is neither * nor a host name like im.example.com, without a port", quoted(host))
		}
	}
	for _, origin := range h.CORSOrigins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			p.add("http.cors_origins: %s is neither * nor an origin like https://chat.example.com", quoted(origin))
		}
	}
}

// checkWeb wants one address of the XMPP server, and not our own, which would pass on to itself without end.
func (c *Config) checkWeb(p *Problems) {
	if c.Web.XMPPConnections < 2 || c.Web.XMPPConnections > 100_000 {
		p.add("web.xmpp_connections: %d is not between 2 and 100000", c.Web.XMPPConnections)
	}
	if c.Web.XMPPURL.Reveal() == "" { // there is no xmpp.server to make it of, which is said already
		return
	}
	to, _, err := web.TransportOf(c.Web.XMPPURL.Reveal())
	if err != nil {
		p.add("web.xmpp_url: %v", err)
		return
	}
	if host, port, err := net.SplitHostPort(c.HTTP.Listen); err == nil && to.Port() == port && (to.Hostname() == host || to.Hostname() == "localhost" || to.Hostname() == "127.0.0.1") {
		p.add("web.xmpp_url: is http.listen, tlim itself; give the XMPP server's own WebSocket or BOSH")
	}
}

func (c *Config) checkFiles(p *Problems) {
	f := &c.Files
	for _, address := range [][2]string{{"http.base_url", c.HTTP.BaseURL.Reveal()}, {"files.fallback_url", f.FallbackURL.Reveal()}} {
		key, link := address[0], address[1]
		if u, err := url.Parse(link); link != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
			p.add("%s: is no address like https://im.example.com/app, without a query", key)
		}
	}
	for _, prefix := range f.Prefixes {
		if !httpapi.ValidPrefix(prefix) {
			p.add("files.prefixes: %s is no path like /cap-aco", quoted(prefix))
		}
	}
	if f.MaxSize < 1<<10 || f.MaxSize > 48<<30 {
		p.add("files.max_size: must be between 1KiB and 48GiB")
	}
	if f.Quota != 0 && f.Quota < f.MaxSize {
		p.add("files.quota: is less than files.max_size, so that some files could never be uploaded; 0 for no quota")
	}
	s := f.S3
	if some, all := s.Endpoint.Reveal()+s.Bucket+s.AccessKey.Reveal()+s.SecretKey.Reveal()+s.Region != "", s.Endpoint.Reveal() != "" && s.Bucket != "" && s.AccessKey.Reveal() != "" && s.SecretKey.Reveal() != ""; some && !all {
		p.add("files.s3: needs endpoint, bucket, access_key and secret_key; leave all of it away to store files in files.dir")
	} else if all {
		if _, err := s.Open(); err != nil {
			p.add("files.s3.%v", err)
		}
	} else if !some && f.Dir == "" {
		p.add("files.dir: is empty, and there is no files.s3")
	}
}
