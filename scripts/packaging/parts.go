package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
	"golang.org/x/mod/module"
)

// component is something of others that is in a binary.
type component struct {
	Name, Version string
	URL           string // package URL
	Licences      []string
	Texts         []string // of its licence files
}

// parts lists what is in a binary: modules by its build information, the standard library, and the packages of the pages.
func parts(binary, lock string) (*debug.BuildInfo, []component, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, nil, err
	}
	cache, root, err := goFolders()
	if err != nil {
		return nil, nil, err
	}
	std, err := licensed(component{Name: "std", Version: info.GoVersion, URL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}, root)
	if err != nil {
		return nil, nil, err
	}
	list := []component{std}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, nil, fmt.Errorf("%s is replaced: what stands there instead?", m.Path)
		}
		escaped, err := module.EscapePath(m.Path)
		if err != nil {
			return nil, nil, err
		}
		version, err := module.EscapeVersion(m.Version)
		if err != nil {
			return nil, nil, err
		}
		c, err := licensed(component{Name: m.Path, Version: m.Version, URL: "pkg:golang/" + m.Path + "@" + m.Version}, filepath.Join(cache, escaped+"@"+version))
		if err != nil {
			return nil, nil, err
		}
		list = append(list, c)
		if m.Path == "github.com/swaggest/swgui" {
			inside, err := swagger(filepath.Join(cache, escaped+"@"+version))
			if err != nil {
				return nil, nil, err
			}
			list = append(list, inside)
		}
	}
	pages, err := packages(lock)
	return info, append(list, pages...), err
}

func goFolders() (cache, root string, err error) {
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		return "", "", fmt.Errorf("go env answers %q", out)
	}
	return lines[0], lines[1], nil
}

var licenceFile = regexp.MustCompile(`(?i)^(li[cs]en[cs]e|copying|notice|copyright)([-._].*)?$`)

// licensed adds the licences of the files in a folder. A component without any is an error: nobody may pass it on.
func licensed(c component, folder string) (component, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return c, err
		}
		c.Texts = append(c.Texts, string(text))
		for _, m := range licensecheck.Scan(text).Match {
			if !m.IsURL && !slices.Contains(c.Licences, m.ID) {
				c.Licences = append(c.Licences, m.ID)
			}
		}
	}
	if len(c.Licences) == 0 {
		return c, fmt.Errorf("%s %s: no licence is known in %s", c.Name, c.Version, folder)
	}
	return c, nil
}

// packages lists what npm has for the pages, without what only builds them.
func packages(lock string) (list []component, err error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var locked struct {
		Packages map[string]struct {
			Version, License       string
			Dev, DevOptional, Peer bool
		}
	}
	if err := json.Unmarshal(text, &locked); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	const under = "node_modules/"
	for path, p := range locked.Packages {
		at := strings.LastIndex(path, under)
		if at < 0 || p.Dev || p.DevOptional || p.Peer {
			continue
		}
		name := path[at+len(under):]
		c := component{Name: name, Version: p.Version, URL: "pkg:npm/" + strings.ReplaceAll(name, "@", "%40") + "@" + p.Version}
		c, err := licensed(c, filepath.Join(filepath.Dir(lock), path))
		if err != nil && p.License == "" || errors.Is(err, fs.ErrNotExist) {
			return nil, err // npm ci has not run, or nobody knows
		}
		if p.License != "" {
			c.Licences = []string{p.License} // as its maker declares it
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s names no package of the pages", lock)
	}
	slices.SortFunc(list, func(a, b component) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return list, nil
}
