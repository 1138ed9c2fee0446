package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

var swaggerVersion = regexp.MustCompile(`swagger-ui/([0-9]+\.[0-9]+\.[0-9]+)`)

// swagger is the Swagger UI that the module swgui has in it, which has another maker and another licence.
func swagger(folder string) (component, error) {
	text, err := os.ReadFile(filepath.Join(folder, "v5cdn", "cdn.go"))
	if err != nil {
		return component{}, err
	}
	m := swaggerVersion.FindSubmatch(text)
	if m == nil {
		return component{}, fmt.Errorf("%s does not say which Swagger UI it has", folder)
	}
	version := string(m[1])
	return component{Name: "swagger-ui", Version: version, URL: "pkg:npm/swagger-ui-dist@" + version, Licences: []string{"Apache-2.0"}}, nil
}
