import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Machine, makePackage } from './package-machine.ts';

const PORT = 8081;
/** Everything that a package could leave behind, but for what changes by itself or belongs to dpkg. */
const SNAPSHOT = `find /etc /usr /opt /srv /var /run -xdev \
  -not -path '/var/lib/dpkg*' -not -path '/var/log*' -not -path '/var/cache*' -not -path '/var/lib/systemd/*' \
  -not -path '/run/systemd*' -not -path '/run/log*' -not -path '/run/dbus*' -not -path '/run/lock*' -not -path '/run/udev*' \
  -not -path '/run/user*' -not -path '/etc/*-' -not -path '/etc/.pwd.lock' | sort`;

interface Installed {
  readonly path: string;
  readonly mode: string;
}

/** What packaging/files.txt says; patterns are left out, their files are checked by dpkg's own list. */
function filesOfTable(): Installed[] {
  return readFileSync('packaging/files.txt', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/))
    .filter(([, path, , owner]) => owner === 'bulkhead' && !path?.endsWith('/'))
    .map(([, path = '', mode = '']) => ({ path, mode }));
}

describe('the Debian package', function () {
  this.timeout(180_000);
  let machine: Machine;
  let first: string;
  let second: string;
  let untouched: string[];

  const installs = (file: string) => machine.get(`dpkg -i ${file} 2>&1`);
  const supervisorPid = () => machine.get('systemctl show -P MainPID bulkheadd');
  const spawnerPid = () => machine.get('systemctl show -P MainPID bulkhead-spawner');
  /** Every process of every plugin, anchors too: it must not change when bulkhead is only upgraded. */
  const pluginProcesses = () =>
    machine.get(
      "find /sys/fs/cgroup/plugin.slice /sys/fs/cgroup/system.slice/system-plugin.slice -name cgroup.procs -exec cat {} + | sort -n | paste -sd' '",
    );
  const answers = async () =>
    assert.match(await machine.get(`curl -sS --max-time 5 http://127.0.0.1:${PORT}/`), /hello from python/);
  const added = async () => (await machine.get(SNAPSHOT)).split('\n').filter((path) => !untouched.includes(path));

  const declareExample = () =>
    machine.get(`install -D -t /opt/plugin/hello/v1 /usr/share/doc/bulkhead/examples/hello-python/*.py &&
      cp /usr/share/doc/bulkhead/examples/hello-python/hello-python.yaml /etc/bulkhead/plugins/hello.yaml`);

  before(async () => {
    const files = [await makePackage('bulkhead'), await makePackage('bulkhead', '99.0.0')];
    machine = await Machine.up('deb');
    // What the administrator has is not the package's to leave or take; /run/mount is of mount(8).
    await machine.get(
      'mkdir -p /run/mount /opt/plugin/hello/v1 && touch /opt/plugin/hello/v1/main.py /opt/plugin/hello/v1/activity.py',
    );
    [first = '', second = ''] = await Promise.all(files.map((file) => machine.push(file)));
    untouched = (await machine.get(SNAPSHOT)).split('\n');
  });

  after(() => machine?.down());

  describe('installed', () => {
    before(() => installs(first));

    it('has every file of the table, with its mode, owned by root', async () => {
      const table = filesOfTable();
      assert.ok(table.length > 20);
      const shipped = (await machine.get('dpkg -L bulkhead')).split('\n');
      const found = await machine.get(
        `stat -c '%n %a %U:%G' ${table.map(({ path }) => shippedName(path, shipped)).join(' ')}`,
      );
      const expected = table.map(
        ({ path, mode }) => `${shippedName(path, shipped)} ${mode.replace(/^0/, '')} root:root`,
      );
      assert.deepEqual(found.split('\n'), expected);
      assert.equal(await machine.get('dpkg --verify bulkhead'), '');
    });

    it('ships nothing that somebody but root may write', async () => {
      assert.equal(
        await machine.get(
          "dpkg -L bulkhead | xargs stat -c '%A %U %n' | grep -v '^l' | grep -Ev '^.....-..-. root ' || true",
        ),
        '',
      );
    });

    it('made the user of the anchors, without a shell and a home', async () => {
      assert.match(
        await machine.get('getent passwd bulkhead'),
        /^bulkhead:[^:]*:(\d{1,3}):\1:Anchors of plugins:\/:\/usr\/sbin\/nologin$/,
      );
    });

    it('runs the supervisor, enabled for the next boot', async () => {
      assert.equal(await machine.get('systemctl is-active bulkheadd'), 'active');
      assert.equal(await machine.get('systemctl is-enabled bulkheadd'), 'enabled');
      assert.equal(await machine.get('systemctl show -P NRestarts bulkheadd'), '0');
      assert.equal(await machine.get("stat -c '%a %U:%G' /run/bulkhead"), '755 root:root');
      assert.equal(await machine.get('systemctl is-system-running'), 'running');
    });

    it('gives the D-Bus name to the supervisor, and to nobody else', async () => {
      const owner = await machine.get(
        'busctl --system --json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetConnectionUnixProcessID s org.bulkhead.Manager1',
      );
      assert.deepEqual(JSON.parse(owner).data, [Number(await supervisorPid())]);
      const stolen = await machine.run(
        'setpriv --reuid=nobody --regid=nogroup --clear-groups busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.bulkhead.Manager1 6',
      );
      assert.notEqual(stolen.status, 0);
      assert.match(stolen.stderr, /Access denied/);
    });

    it('lets nobody introspect, and starts the supervisor for whoever asks', async () => {
      await machine.get('systemctl stop bulkheadd');
      await machine.get(
        'setpriv --reuid=nobody --regid=nogroup --clear-groups busctl --system introspect org.bulkhead.Manager1 / org.freedesktop.DBus.Introspectable',
      );
      assert.equal(await machine.get('systemctl is-active bulkheadd'), 'active');
    });

    it('has units without a warning, and as little exposed as promised', async () => {
      // The images have no man pages, so they cannot be looked for.
      const verified = await machine.run(
        'systemd-analyze verify --man=no bulkheadd.service bulkhead-spawner.service plugin@x.service plugin.slice',
      );
      assert.deepEqual(verified, { status: 0, stdout: '', stderr: '' });
      await machine.get('systemd-analyze security --threshold=40 bulkheadd.service');
      await machine.get(
        'systemctl start --no-block plugin@exposed && systemd-analyze security --threshold=10 plugin@exposed.service; result=$?; systemctl stop plugin@exposed; systemctl reset-failed plugin@exposed; exit $result',
      );
    });

    it('starts the example as its manual page says', async () => {
      await declareExample();
      await machine.get('systemctl enable --now plugin@hello');
      await answers();
    });
  });

  describe('installed over a running plugin', () => {
    it('again: the supervisor is a new one, the plugin is not', () => replacedUnderPlugin(() => installs(first)));

    it('as an upgrade: the same', async () => {
      await replacedUnderPlugin(() => installs(second));
      assert.equal(await machine.get("dpkg -s bulkhead | sed -n 's/^Version: //p'"), '99.0.0');
    });

    it('leaves a disabled supervisor disabled', async () => {
      await machine.get('systemctl --quiet disable bulkheadd');
      await installs(second);
      assert.equal((await machine.run('systemctl is-enabled bulkheadd')).stdout.trim(), 'disabled');
      await machine.get('systemctl --quiet enable bulkheadd && systemctl start bulkheadd');
    });

    it('restarts nothing where policy-rc.d forbids it', async () => {
      const pids = async () => [await supervisorPid(), await spawnerPid()];
      const before = await pids();
      await machine.get("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d");
      await installs(second);
      await machine.get('rm /usr/sbin/policy-rc.d');
      assert.deepEqual(await pids(), before);
    });

    async function replacedUnderPlugin(replace: () => Promise<unknown>): Promise<void> {
      const supervisor = await supervisorPid();
      const spawner = await spawnerPid();
      const processes = await pluginProcesses();
      assert.notEqual(processes, '');
      await replace();
      assert.notEqual(await supervisorPid(), supervisor);
      assert.notEqual(await spawnerPid(), spawner);
      assert.equal(await machine.get('systemctl is-active bulkheadd bulkhead-spawner'), 'active\nactive');
      assert.equal(await pluginProcesses(), processes);
      await answers();
    }
  });

  describe('removed', () => {
    before(async () => {
      await machine.get(
        "mkdir -p /etc/systemd/system/plugin@hello.service.d && printf '[Unit]\\nDescription=Mine\\n' >/etc/systemd/system/plugin@hello.service.d/override.conf && systemctl daemon-reload",
      );
      // As a plugin's state that is still mounted because nobody came to let it go.
      await machine.get(
        'mkdir -p /var/lib/bulkhead/state/kept /run/bulkhead/state/kept && touch /var/lib/bulkhead/state/kept/file && mount --bind /var/lib/bulkhead/state/kept /run/bulkhead/state/kept',
      );
      await machine.get('dpkg --remove bulkhead 2>&1');
    });

    it('left no process, no unit, no listener and no name', async () => {
      assert.equal(
        await machine.get("ps -eo args | grep -E 'bulkhead|plugin-|nspawn|main\\.py' | grep -v grep || true"),
        '',
      );
      assert.equal(
        await machine.get("systemctl list-units --state=loaded --all --plain --no-legend 'plugin*' 'bulkhead*'"),
        '',
      );
      assert.equal(await machine.get('find /sys/fs/cgroup -name "*plugin*" -o -name "*bulkhead*"'), '');
      // Not even one that systemd keeps for a service that is gone; the machine has no others.
      assert.equal(await machine.get('ss -Hlnt'), '');
      assert.doesNotMatch(await machine.get('busctl --system list --acquired --activatable'), /bulkhead/);
      assert.equal(await machine.get('findmnt -rno TARGET | grep -E "bulkhead|plugin|unix-export" || true'), '');
      assert.equal(await machine.get('systemctl is-system-running'), 'running');
    });

    it('left of its files what the administrator wrote and the state of plugins, and nothing else', async () => {
      assert.deepEqual(await added(), [
        '/etc/bulkhead',
        '/etc/bulkhead/plugins',
        '/etc/bulkhead/plugins/hello.yaml',
        '/etc/systemd/system/multi-user.target.wants/plugin@hello.service',
        '/etc/systemd/system/plugin@hello.service.d',
        '/etc/systemd/system/plugin@hello.service.d/override.conf',
        '/var/lib/bulkhead',
        '/var/lib/bulkhead/state',
        '/var/lib/bulkhead/state/kept',
        '/var/lib/bulkhead/state/kept/file',
      ]);
    });

    it('comes back as it was when it is installed again', async () => {
      await installs(first);
      assert.equal(await machine.get('systemctl is-enabled bulkheadd'), 'enabled');
      await machine.get('systemctl start plugin@hello');
      await answers();
      // What bulkhead has installed goes with it.
      await machine.get('bulkheadctl install other /usr/share/doc/bulkhead/examples/hello-python --version v1');
    });
  });

  describe('purged', () => {
    before(() => machine.get('dpkg --purge bulkhead 2>&1'));

    it('left nothing, neither file nor user nor group nor installed version', async () => {
      assert.deepEqual(await added(), []);
      assert.equal(
        await machine.get(
          'grep -l bulkhead /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid 2>/dev/null || true',
        ),
        '',
      );
      assert.equal(await machine.get('ss -Hlnt'), '');
      assert.equal(await machine.get('dpkg -l bulkhead 2>/dev/null | grep bulkhead || true'), '');
    });
  });

  describe('in a chroot, where no systemd runs', () => {
    const inside = (script: string) => machine.get(`chroot /var/tmp/chroot/root ${script}`);

    before(async () => {
      await machine.get(`mkdir -p /var/tmp/chroot/{upper,work,root} &&
        mount -t overlay overlay -o lowerdir=/,upperdir=/var/tmp/chroot/upper,workdir=/var/tmp/chroot/work /var/tmp/chroot/root &&
        mount -t proc proc /var/tmp/chroot/root/proc && cp ${first} /var/tmp/chroot/root/tmp`);
    });

    after(() => machine.get('umount -R /var/tmp/chroot/root && rm -rf /var/tmp/chroot'));

    it('installs, enabled for the first boot, and starts nothing', async () => {
      await inside(`dpkg -i /tmp/${basename(first)} 2>&1`);
      assert.equal(await inside('systemctl is-enabled bulkheadd'), 'enabled');
      assert.match(await inside('getent passwd bulkhead'), /^bulkhead:/);
      assert.equal(await machine.get('ps -eo args | grep bulkhead | grep -v grep || true'), '');
      assert.notEqual((await machine.run('systemctl is-active bulkheadd')).stdout.trim(), 'active');
    });

    it('purges', async () => {
      await inside('dpkg --purge bulkhead 2>&1');
      assert.equal((await machine.run('grep -l bulkhead /var/tmp/chroot/root/etc/{passwd,group}')).stdout, '');
      assert.equal(await machine.get("find /var/tmp/chroot/root -xdev -name '*bulkhead*' -not -name '*.deb'"), '');
    });
  });
});

/** Manual pages are compressed on the way into the package. */
function shippedName(path: string, shipped: readonly string[]): string {
  return shipped.includes(path) ? path : `${path}.gz`;
}
