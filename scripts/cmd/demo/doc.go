// Command demo shows the product's main job on a real Openfire; see scripts/demo.
package main
