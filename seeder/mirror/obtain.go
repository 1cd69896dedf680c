package mirror

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// obtain fetches a version that the catalog is about to list, and returns when it is here.
func (c *carrier) obtain(ctx context.Context, v *Version) error {
	h := v.System.InfoHash
	c.mu.Lock()
	one := c.byHash[h]
	if one == nil {
		one = &carried{Version: v, since: c.now(), unlisted: c.now()}
		c.byHash[h] = one
		c.resume(one)
	}
	one.awaited = true
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if one.awaited = false; !one.unlisted.IsZero() {
			one.unlisted = c.now() // from now on the catalog may list it
		}
	}()
	for !one.Whole() {
		if one.inHand() { // it is being fetched already, or leaves just now
			c.mu.Unlock()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
			c.mu.Lock()
			continue
		}
		one.wanted = true
		fetchCtx, cancel := context.WithCancelCause(ctx)
		if err := c.begin(one, func() { cancel(context.Canceled) }); err != nil {
			c.mu.Unlock()
			return err
		}
		c.mu.Unlock()
		go c.endStalled(fetchCtx, cancel, one)
		err := c.fetch(fetchCtx, one)
		if err != nil {
			err = cmp.Or(context.Cause(fetchCtx), err)
		}
		c.end(one, err)
		return err
	}
	c.mu.Unlock()
	return nil
}

// stallTime is how long nothing may come of what obtain waits for: it can be had in another way.
const stallTime = 20 * time.Second

// endStalled ends a fetch of which no piece comes for that time.
func (c *carrier) endStalled(ctx context.Context, cancel context.CancelCauseFunc, v *carried) {
	tick := time.NewTicker(stallTime)
	defer tick.Stop()
	for done := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		now := v.done
		c.mu.Unlock()
		if now == done {
			cancel(fmt.Errorf("no piece came for %s", stallTime))
			return
		}
		done = now
	}
}
