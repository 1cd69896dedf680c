package site

// Where names a key of boottorrent.yaml and the file it is in, for messages: "ports.http in boottorrent.yaml", or of an original
// site what it has instead: "opentracker.port in Boottorrent.yaml".
func (s *Site) Where(key string) string {
	if !s.Original {
		return key + " in " + ConfigFile
	}
	if old := map[string]string{
		"serve": "dnsmasq.interface and boottorrent.host_ip", "serve.interfaces": "dnsmasq.interface",
		"serve.address": "boottorrent.host_ip",
		"dhcp":          "dnsmasq", "ports.http": "opentracker.port", "ports": "opentracker.port and dnsmasq.enable_tftp",
		"log": "aria2.console_log_level",
	}[key]; old != "" {
		return old + " in " + OriginalFile
	}
	return key + " in " + ConfigFile + ", which 'seeder migrate' writes,"
}
