//! Who holds a run: this process, named so that another one on the same machine can see when it is dead.

/// `host/pid/start`, where `start` is the process's start time in clock ticks since boot: a reused pid is no holder.
pub(crate) fn own() -> String {
    let pid = std::process::id();
    format!("{}/{pid}/{}", host(), started(pid).unwrap_or(0))
}

/// Whether the named holder was a process of this machine that is gone. Holders elsewhere are never judged: their
/// lease must run out.
pub(crate) fn is_dead(holder: &str) -> bool {
    let mut parts = holder.rsplitn(3, '/');
    let (Some(start), Some(pid), Some(machine)) = (parts.next(), parts.next(), parts.next()) else { return false };
    if machine != host() {
        return false;
    }
    let (Ok(start), Ok(pid)) = (start.parse::<u64>(), pid.parse::<u32>()) else { return false };
    // Without /proc nothing can be told, and the lease decides.
    std::path::Path::new("/proc/self/stat").exists() && started(pid) != Some(start)
}

/// This machine's name together with its boot, since pids start anew at each boot and in each container.
pub(crate) fn host() -> String {
    let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let namespace = std::fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned()).unwrap_or_default();
    let namespace: String = namespace.chars().filter(char::is_ascii_digit).collect();
    format!("{}.{}.{namespace}", name(), boot.split('-').next().unwrap_or(""))
}

/// The machine's name.
pub(crate) fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").map(|text| text.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "this-machine".to_owned() } else { name }
}

/// Field 22 of `/proc/<pid>/stat`; the process name before it may hold anything, so count from its closing bracket. A
/// zombie is dead: it will never renew a lease.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_holder_is_not_dead_and_a_gone_one_is() {
        assert!(!is_dead(&own()));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let holder = format!("{}/{}/{}", host(), child.id(), started(child.id()).expect("it lives"));
        assert!(!is_dead(&holder));
        child.kill().expect("kill");
        // Nobody has waited for it yet, so it stays a zombie; the signal takes a moment.
        let start = std::time::Instant::now();
        while !is_dead(&holder) {
            assert!(start.elapsed().as_secs() < 10, "a zombie holds nothing");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().expect("wait");
        assert!(is_dead(&holder));
        assert!(!is_dead("elsewhere/1/1"), "another machine's processes cannot be seen from here");
        assert!(!is_dead("nonsense"));
    }
}
