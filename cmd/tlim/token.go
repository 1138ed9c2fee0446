package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/component/stanza"
	"tlim/store"
)

func tokenCommand(from *config.Sources) *cobra.Command {
	token := &cobra.Command{
		Use:   "token",
		Short: "End the tokens by which users' clients call the HTTP API",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	revoke := &cobra.Command{
		Use:   "revoke USER",
		Short: "End all tokens of a user at once; their clients ask for new ones over XMPP",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return revokeTokens(cmd.Context(), cmd.OutOrStdout(), *from, args[0], asJSON)
		},
	}
	revoke.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	token.AddCommand(revoke)
	return token
}

// revokeTokens works on the database, beside a process that serves: that one looks at every call.
func revokeTokens(ctx context.Context, out io.Writer, from config.Sources, user string, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	local, err := stanza.Localpart(user)
	if err != nil {
		return exitError{fmt.Errorf("%q is no user id", user), exitUsage}
	}
	var before store.TokenState
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		if before, err = db.TokenState(ctx, local); err != nil {
			return err
		}
		return db.RevokeTokens(ctx, local, byCommand("tokens/revoke", local))
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, struct {
			User  string `json:"user_id"`
			Known bool   `json:"known"` // it had a token before, or was revoked before
		}{local, before.UserID != ""})
	}
	fmt.Fprintf(out, "the tokens of %s have ended\n", local)
	if before.UserID == "" {
		fmt.Fprintf(out, "nothing was known of %s before: is it spelled right?\n", local)
	}
	return nil
}
