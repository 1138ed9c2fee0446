package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

type licenceChoice struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type cycloneComponent struct {
	Type     string          `json:"type"`
	Ref      string          `json:"bom-ref"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	URL      string          `json:"purl,omitempty"`
	Hashes   []cycloneHash   `json:"hashes,omitempty"`
	Licences []licenceChoice `json:"licenses,omitempty"`
}

type cycloneHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type cyclone struct {
	Schema   string `json:"$schema"`
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Serial   string `json:"serialNumber"`
	Version  int    `json:"version"`
	Metadata struct {
		Timestamp string           `json:"timestamp"`
		Component cycloneComponent `json:"component"`
	} `json:"metadata"`
	Components   []cycloneComponent `json:"components"`
	Dependencies []dependency       `json:"dependencies"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// printSBOM writes a CycloneDX document on a binary.
func printSBOM(out io.Writer, binary, lock string, when time.Time) error {
	info, list, err := parts(binary, lock)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	id := slices.Clone(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // UUID version 8: of one's own making, here of the binary
	d := cyclone{Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", Spec: "1.5", Version: 1,
		Serial: fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])}
	d.Metadata.Timestamp = when.Format(time.RFC3339)
	d.Metadata.Component = cycloneComponent{Type: "application", Ref: "tlim", Name: "tlim", Version: info.Main.Version,
		Hashes: []cycloneHash{{"SHA-256", fmt.Sprintf("%x", sum)}}}
	root := dependency{Ref: "tlim"}
	for _, c := range list {
		one := cycloneComponent{Type: "library", Ref: c.URL, Name: c.Name, Version: c.Version, URL: c.URL}
		for _, id := range c.Licences {
			var choice licenceChoice
			choice.Licence.ID = id
			one.Licences = append(one.Licences, choice)
		}
		d.Components = append(d.Components, one)
		root.DependsOn = append(root.DependsOn, c.URL)
	}
	d.Dependencies = []dependency{root}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

// printLicences writes who has made what is in a binary, and on what terms.
func printLicences(out io.Writer, binary, lock string) error {
	_, list, err := parts(binary, lock)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("tlim contains the following works of others, under the licences that follow.\n\n")
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s: %s\n", c.Name, c.Version, strings.Join(c.Licences, ", "))
	}
	for _, c := range list {
		for _, text := range c.Texts {
			fmt.Fprintf(&b, "\n%s\n%s %s\n\n%s\n", strings.Repeat("=", 78), c.Name, c.Version, strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")))
		}
	}
	_, err = io.WriteString(out, b.String())
	return err
}
