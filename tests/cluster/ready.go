package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// pollInterval is short because the API server is local and somebody is waiting.
const pollInterval = 50 * time.Millisecond

func newClient(c *credentials) (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host:            c.server,
		BearerToken:     c.token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca},
		UserAgent:       "signet-cluster",
		QPS:             -1, // no client-side limit
		Timeout:         5 * time.Second,
	})
}

// waitUntil calls a check until it is satisfied. A failing check is asked again; its last error explains a time-out.
func waitUntil(ctx context.Context, what string, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), err)
		case <-time.After(pollInterval):
		}
	}
}

func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	return waitUntil(ctx, "the API server", func() error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitForReady waits until a Pod can be created in namespace default and has somewhere to run.
func waitForReady(ctx context.Context, client kubernetes.Interface, nodes int, say func(string, ...any)) error {
	err := waitUntil(ctx, "service account default/default", func() error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	say("service accounts are there")
	err = waitUntil(ctx, "the nodes", func() error {
		ready, err := readyNodes(ctx, client)
		if err == nil && ready < nodes {
			err = fmt.Errorf("%d of %d nodes are ready", ready, nodes)
		}
		return err
	})
	if err != nil {
		return err
	}
	say("%d nodes are ready", nodes)
	return waitForAPIServer(ctx, client)
}
