package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// exposure is what `expose` was asked for: let a Service lead to a process on this machine.
type exposure struct {
	dataDir   string
	namespace string
	service   string
	port      int32
	portName  string
	target    string
}

func runExpose(args []string) int {
	e := exposure{}
	flags := pflag.NewFlagSet("expose", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.StringVar(&e.dataDir, "data-dir", "", "data directory of the running cluster")
	flags.StringVarP(&e.namespace, "namespace", "n", "default", "namespace of the Service; it must exist")
	flags.StringVar(&e.service, "service", "", "name of the Service. One that has a selector is left as it is, and its Pods are mapped; otherwise it is created")
	flags.Int32Var(&e.port, "port", 80, "port of a Service to be created")
	flags.StringVar(&e.portName, "port-name", "http", "port name of a Service to be created")
	flags.StringVar(&e.target, "to", "", "PORT or HOST:PORT of the process")
	timeout := flags.Duration("timeout", 15*time.Second, "how long to wait for the Service's Pods")
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil && (e.dataDir == "" || e.service == "" || e.target == "") {
		err = errors.New("--data-dir, --service and --to are required")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "signet-cluster expose:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := e.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "signet-cluster expose:", err)
		return 1
	}
	return 0
}

func (e *exposure) run(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(e.dataDir, adminConfig))
	if err != nil {
		return err
	}
	config.WarningHandler = rest.NoWarnings{} // Endpoints are deprecated, but they are what the API server proxies by
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	service, err := client.CoreV1().Services(e.namespace).Get(ctx, e.service, metav1.GetOptions{})
	var addresses []string
	switch {
	case err == nil && len(service.Spec.Selector) > 0:
		addresses, err = e.selectedPods(ctx, client)
	case err == nil || apierrors.IsNotFound(err):
		addresses, err = e.standIn(ctx, client)
	}
	if err != nil {
		return err
	}
	for _, ip := range addresses {
		if err := mapPodAddress(filepath.Join(e.dataDir, podAddressesFile), ip, e.target); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "signet-cluster: %s/%s leads to %s by Pod address %s\n", e.namespace, e.service, e.target, strings.Join(addresses, ", "))
	return nil
}

// selectedPods are the addresses behind a Service that selects Pods, once there are any.
func (e *exposure) selectedPods(ctx context.Context, client kubernetes.Interface) (addresses []string, err error) {
	err = waitUntil(ctx, "ready Pods of the Service", func() error {
		endpoints, err := client.CoreV1().Endpoints(e.namespace).Get(ctx, e.service, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, subset := range endpoints.Subsets {
			for _, address := range subset.Addresses {
				addresses = append(addresses, address.IP)
			}
		}
		if len(addresses) == 0 {
			return errors.New("no ready address")
		}
		return nil
	})
	return addresses, err
}

// standIn creates what the API server wants to see before it proxies: a Service, its Endpoints, and a Pod that has the
// endpoint's address. The Pod has a scheduling gate, so that no simulated kubelet takes it and gives it another address.
func (e *exposure) standIn(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	ip := standInAddress(e.namespace, e.service)
	core := client.CoreV1()
	object := metav1.ObjectMeta{Name: e.service, Namespace: e.namespace}

	// A new namespace has no default service account for a moment, and until then no Pod can be created in it.
	err := waitUntil(ctx, "the stand-in Pod", func() error {
		_, err := core.Pods(e.namespace).Create(ctx, standInPod(object), metav1.CreateOptions{})
		return ignoreExisting(err)
	})
	if err != nil {
		return nil, err
	}
	status := fmt.Appendf(nil, `{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, ip, ip)
	if _, err := core.Pods(e.namespace).Patch(ctx, e.service, "application/strategic-merge-patch+json", status, metav1.PatchOptions{}, "status"); err != nil {
		return nil, err
	}
	_, err = core.Services(e.namespace).Create(ctx, &corev1.Service{
		ObjectMeta: object,
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: e.portName, Port: e.port}}},
	}, metav1.CreateOptions{})
	if ignoreExisting(err) != nil {
		return nil, err
	}
	_, err = core.Endpoints(e.namespace).Create(ctx, &corev1.Endpoints{
		ObjectMeta: object,
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{
				IP:        ip,
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: e.namespace, Name: e.service},
			}},
			Ports: []corev1.EndpointPort{{Name: e.portName, Port: e.port}},
		}},
	}, metav1.CreateOptions{})
	return []string{ip}, ignoreExisting(err)
}

// standInPod satisfies the "restricted" Pod security standard, so that it fits into any namespace.
func standInPod(object metav1.ObjectMeta) *corev1.Pod {
	yes, no := true, false
	return &corev1.Pod{
		ObjectMeta: object,
		Spec: corev1.PodSpec{
			SchedulingGates:              []corev1.PodSchedulingGate{{Name: "signet.dev/runs-outside-the-cluster"}},
			AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   &yes,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name:  "none",
				Image: "none.invalid/none",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no,
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// standInAddress is the same for a Service every time, so that exposing it again only changes the mapping.
func standInAddress(namespace, service string) string {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s/%s", namespace, service)
	sum := hash.Sum32()
	return fmt.Sprintf("10.244.%d.%d", sum>>8&0xff, 1+sum%254)
}

func ignoreExisting(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
