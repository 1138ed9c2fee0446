package main

import "github.com/spf13/cobra"

func serveCommand(from *Sources) *cobra.Command { return &cobra.Command{Use: "serve"} }
