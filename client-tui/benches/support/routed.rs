//! Two network namespaces and a router between them with a thin line to each side, where the system's own TCP fills the router's buffer
//! and loses packets. Linux, root, iproute2.

use std::process::{Command, ExitStatus};

/// Where a server listens within it.
pub(crate) const SERVER_HOST: &str = "192.0.2.2";
/// Networks for documentation (RFC 5737), without the last byte: the client's, and the server's.
const NETS: [&str; 2] = ["198.51.100", "192.0.2"];

/// The namespaces, taken away with this.
pub(crate) struct Routed {
    client: String,
    pub(crate) server: String,
    router: String,
}

impl Routed {
    /// So many million bits a second and milliseconds of buffer, each way.
    pub(crate) fn new(rate_mbit: &str, buffer_ms: &str) -> Self {
        let name = |side: &str| format!("browsing-{}-{side}", std::process::id());
        let routed = Self { client: name("client"), server: name("server"), router: name("router") };
        for space in routed.spaces() {
            ip(&format!("netns add {space}"));
            ip(&format!("-n {space} link set lo up"));
        }
        let router = &routed.router;
        for (space, net, port) in [(&routed.client, NETS[0], "client"), (&routed.server, NETS[1], "server")] {
            ip(&format!("link add eth0 netns {space} type veth peer name {port} netns {router}"));
            ip(&format!("-n {space} addr add {net}.2/24 dev eth0"));
            ip(&format!("-n {router} addr add {net}.1/24 dev {port}"));
            ip(&format!("-n {space} link set eth0 up"));
            ip(&format!("-n {router} link set {port} up"));
            // As most systems have it.
            ip(&format!("-n {space} route add default via {net}.1 congctl cubic"));
            run(&format!(
                "tc -n {router} qdisc add dev {port} root tbf rate {rate_mbit}mbit burst 16kb latency {buffer_ms}ms"
            ));
        }
        ip(&format!("netns exec {router} sysctl -qw net.ipv4.ip_forward=1"));
        routed
    }

    /// Runs this program again as a client, with one variable more.
    pub(crate) fn run_again(&self, variable: &str) -> ExitStatus {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.client]).arg(program).arg("--bench");
        command.env(variable, &self.server).status().expect("ip")
    }

    fn spaces(&self) -> [&String; 3] {
        [&self.client, &self.server, &self.router]
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        for space in self.spaces() {
            let _ = Command::new("ip").args(["netns", "del", space]).status();
        }
    }
}

fn ip(arguments: &str) {
    run(&format!("ip {arguments}"));
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let status = Command::new(words.next().expect("a program")).args(words).status().expect(line);
    assert!(status.success(), "{line}");
}
