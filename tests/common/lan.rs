//! A network of namespaces inside of the test: each node has a network stack of its own, and every packet between two of
//! them goes through this process, which delays, limits, loses or drops it as the test wants.
//!
//! A namespace has the loopback interface and a TUN device. The kernel gives each IP packet that is sent to another
//! namespace to this process; a thread per namespace reads them and works out when they are due, another hands them over
//! then. Nothing is left behind: the namespaces go with the last process and descriptor in them. Needs root, `ip` and
//! `/dev/net/tun`; no queueing discipline of the kernel.

#![allow(dead_code, reason = "each test file uses its part")]

use super::Node;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fs::File,
    io::{self, Read, Write},
    os::fd::AsRawFd,
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Bytes of an Ethernet frame's payload.
const MTU: usize = 1500;
/// Bytes that wait for one direction of a link; more are dropped, as a router does.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// One direction between two namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// From one end to the other.
    pub delay: Duration,
    /// Of a thousand packets so many are lost.
    pub loss_per_mille: u32,
    /// `None`: no limit.
    pub bytes_per_second: Option<u64>,
    /// Nothing gets through.
    pub cut: bool,
}

/// A namespace; it lives as long as this, and the processes that were started in it.
pub struct Namespace {
    handle: File,
    /// Its address in the network.
    pub address: String,
}

/// The namespaces and what lies between them.
pub struct Lan {
    pub namespaces: Vec<Namespace>,
    state: Arc<(Mutex<State>, Condvar)>,
}

/// Due time, number, sender, receiver, packet.
type Waiting = (Instant, u64, usize, usize, Vec<u8>);

struct State {
    /// By sender and receiver; those that are not here are perfect.
    links: BTreeMap<(usize, usize), Link>,
    /// When the last byte that was taken for a limited direction has left, and the bytes that wait in each.
    busy_until: BTreeMap<(usize, usize), Instant>,
    waiting_bytes: BTreeMap<(usize, usize), usize>,
    /// The next one due on top.
    queue: BinaryHeap<Reverse<Waiting>>,
    count: u64,
    random: StdRng,
    closed: bool,
}

impl Lan {
    /// So many namespaces that reach each other; the error says in a line what this machine does not have.
    pub fn new(count: usize, seed: u64) -> Result<Self, String> {
        let state = State {
            links: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            waiting_bytes: BTreeMap::new(),
            queue: BinaryHeap::new(),
            count: 0,
            random: StdRng::seed_from_u64(seed),
            closed: false,
        };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let (mut namespaces, mut devices) = (Vec::new(), Vec::new());
        for index in 0..count {
            let (namespace, device) = Namespace::new(index)?;
            namespaces.push(namespace);
            devices.push(Arc::new(device));
        }
        for (from, device) in devices.iter().enumerate() {
            let (state, device) = (Arc::clone(&state), Arc::clone(device));
            thread::spawn(move || take_from(&device, from, count, &state));
        }
        let delivered = Arc::clone(&state);
        thread::spawn(move || deliver(&devices, &delivered));
        Ok(Self { namespaces, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies between two of them from now on, in both directions.
    pub fn set(&self, one: usize, other: usize, link: Link) {
        let mut state = self.lock();
        state.links.insert((one, other), link);
        state.links.insert((other, one), link);
    }

    /// The same between one and all others.
    pub fn set_all(&self, one: usize, link: Link) {
        (0..self.namespaces.len()).filter(|other| *other != one).for_each(|other| self.set(one, other, link));
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.lock().closed = true;
        self.state.1.notify_all();
    }
}

impl Namespace {
    fn new(index: usize) -> Result<(Self, File), String> {
        let address = format!("10.77.0.{}", index + 1);
        let made = thread::scope(|scope| {
            let address = &address;
            // The thread is in the new namespace, and gone afterwards.
            scope.spawn(move || make_namespace(address)).join().expect("no panic")
        });
        let (handle, device) = made?;
        Ok((Self { handle, address }, device))
    }

    /// Runs something inside: processes and threads that it starts stay there.
    pub fn enter<R: Send>(&self, run: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let inside = move || {
                // SAFETY: setns takes numbers, and this thread ends with the closure.
                assert_eq!(unsafe { libc::setns(self.handle.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
                run()
            };
            match scope.spawn(inside).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts a node inside.
    pub fn launch(&self, datadir: &std::path::Path, arguments: &[&str]) -> Node {
        self.enter(|| Node::launch(super::weft_command(), datadir, arguments))
            .unwrap_or_else(|log| panic!("the node did not come up:\n{log}"))
    }
}

/// The namespace of this thread from now on, with its device.
fn make_namespace(address: &str) -> Result<(File, File), String> {
    // SAFETY: unshare takes a number.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(format!("network namespaces: {}", io::Error::last_os_error()));
    }
    let handle = File::open("/proc/thread-self/ns/net").map_err(|error| format!("/proc: {error}"))?;
    let device = open_tun("lan0").map_err(|error| format!("/dev/net/tun: {error}"))?;
    let (mtu, subnet) = (MTU.to_string(), format!("{address}/24"));
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", "lan0", "mtu", &mtu, "up"])?;
    ip(&["addr", "add", &subnet, "dev", "lan0"])?;
    ip(&["route", "add", "224.0.0.0/4", "dev", "lan0"])?;
    Ok((handle, device))
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", arguments.join(" "), said.trim())) }
}

/// A device that gives and takes bare IP packets.
fn open_tun(name: &str) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: the structure is plain numbers; zeros are a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads an ifreq, which lives until the call is over.
    match unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw const request) } {
        0 => Ok(device),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads what a namespace sends, until its device is gone.
fn take_from(device: &File, from: usize, count: usize, state: &(Mutex<State>, Condvar)) {
    let (mut device, mut packet) = (device, vec![0; MTU + 64]);
    while let Ok(length) = device.read(&mut packet) {
        let packet = &packet[..length];
        // IPv4; the kernel's own IPv6 goes nowhere.
        if length < 20 || packet[0] >> 4 != 4 {
            continue;
        }
        // To 10.77.0.x, or to a group and so to all others.
        let is_group = (224..240).contains(&packet[16]);
        let is_meant = |to: usize| if is_group { to != from } else { to + 1 == usize::from(packet[19]) };
        let mut locked = state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if locked.closed {
            return;
        }
        for to in (0..count).filter(|to| is_meant(*to)) {
            if locked.enqueue(from, to, packet) {
                state.1.notify_all();
            }
        }
    }
}

impl State {
    /// Works out when a packet arrives; false: it never does.
    fn enqueue(&mut self, from: usize, to: usize, packet: &[u8]) -> bool {
        let link = self.links.get(&(from, to)).copied().unwrap_or_default();
        let waiting = self.waiting_bytes.entry((from, to)).or_default();
        let lost = self.random.random_range(0..1000) < link.loss_per_mille;
        if link.cut || lost || *waiting + packet.len() > QUEUE_BYTES_MAX {
            return false;
        }
        *waiting += packet.len();
        let now = Instant::now();
        let mut leaves = now;
        if let Some(rate) = link.bytes_per_second {
            let busy_until = self.busy_until.entry((from, to)).or_insert(now);
            leaves = now.max(*busy_until) + Duration::from_secs_f64(packet.len() as f64 / rate as f64);
            *busy_until = leaves;
        }
        self.count += 1;
        self.queue.push(Reverse((leaves + link.delay, self.count, from, to, packet.to_vec())));
        true
    }
}

/// Hands packets over when they are due.
fn deliver(devices: &[Arc<File>], state: &(Mutex<State>, Condvar)) {
    let mut locked = state.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !locked.closed {
        let due = locked.queue.peek().map(|Reverse((due, ..))| *due);
        let wait = due.map_or(Duration::from_secs(1), |due| due.saturating_duration_since(Instant::now()));
        if due.is_none() || !wait.is_zero() {
            locked = state.1.wait_timeout(locked, wait).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let Some(Reverse((_, _, from, to, packet))) = locked.queue.pop() else { continue };
        if let Some(waiting) = locked.waiting_bytes.get_mut(&(from, to)) {
            *waiting -= packet.len();
        }
        drop(locked);
        let mut device = &*devices[to];
        // A device that is down loses it.
        let _ = device.write(&packet);
        locked = state.0.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
