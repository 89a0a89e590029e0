package core

import "time"

// OnlineCheckMode says when a service's way to the Internet is checked.
type OnlineCheckMode string

// The online check modes, spelt as in main.conf.
const (
	OnlineCheckNone       OnlineCheckMode = "none"
	OnlineCheckOneShot    OnlineCheckMode = "one-shot"
	OnlineCheckContinuous OnlineCheckMode = "continuous"
)

// IntervalStyle is the series that spaces online checks.
type IntervalStyle string

// The interval styles, spelt as in main.conf.
const (
	Geometric IntervalStyle = "geometric" // the step's square, in seconds
	Fibonacci IntervalStyle = "fibonacci" // the step's Fibonacci number, in seconds
)

// Config is what connman.conf(5) says about the domain. It does not change
// while the daemon runs.
type Config struct {
	InputRequestTimeout  time.Duration
	BrowserLaunchTimeout time.Duration
	BackgroundScanning   bool
	Roaming              RoamingScan
	AddressPolicy        AddressPolicy // for networks that nothing else is said of
	// SettingsFollowNetwork has a wireless service without settings take those
	// that another adapter's service of the same network has.
	SettingsFollowNetwork bool

	DefaultAutoConnect []Type // services of these types connect by themselves
	DefaultEnabled     []Type // powered at the first start
	DefaultFavorite    []Type // favourites from the first sight
	AlwaysConnected    []Type
	Preferred          []Type // most preferred first
	SingleConnected    bool
	AutoConnectRoaming bool

	AllowHostnameUpdates   bool
	AllowDomainnameUpdates bool
	UseGatewaysAsTime      bool
	FallbackTimeservers    []string
	FallbackNameservers    []string

	Tethering           []Type // technologies that may tether
	PersistentTethering bool
	Enable6to4          bool
	VendorClassID       string

	ConflictDetection bool // RFC 5227 for addresses from DHCP and from the user

	OnlineCheck OnlineCheckConfig
}

// RoamingScan says when a connected adapter looks for better access points of
// its network.
type RoamingScan struct {
	Short     time.Duration // between two scans while the signal is weak
	Threshold int           // below which it is weak, dBm
	Long      time.Duration // between two scans while it is not
}

// OnlineCheckConfig holds the OnlineCheck* keys.
type OnlineCheckConfig struct {
	Mode            OnlineCheckMode
	IPv4URL         string
	IPv6URL         string
	ConnectTimeout  time.Duration // 0 leaves it to the system
	InitialInterval int           // step of the series to begin with
	MaxInterval     int           // last step
	Failures        int           // in a row, until a service is demoted
	Successes       int           // in a row, until it is trusted again
	IntervalStyle   IntervalStyle
}
