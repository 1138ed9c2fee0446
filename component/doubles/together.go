package doubles

import (
	"context"
	"errors"
	"slices"
)

// Together runs parts as the program does: all at once, until ctx ends or one of them does. Then each is told to end, the last first, when those
// behind it have. It returns their errors.
func Together(ctx context.Context, runs ...func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var stops []func() error
	for _, run := range runs {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan error, 1) // one result
		go func() {
			ended <- run(own)
			end()
		}()
		stops = append(stops, func() error {
			cancel()
			return <-ended
		})
	}
	<-ctx.Done()
	var errs []error
	for _, stop := range slices.Backward(stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}
