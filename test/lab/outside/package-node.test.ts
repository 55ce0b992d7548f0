import assert from 'node:assert/strict';
import { Machine, makePackage } from './package-machine.ts';

describe('the Debian packages where Node.js and systemd are older', function () {
  this.timeout(300_000);
  let machine: Machine;
  let bulkhead: string;
  let node: string;

  before(async () => {
    const files = [await makePackage('bulkhead'), await makePackage('bulkhead-node')];
    machine = await Machine.up('node', '--suite', 'bookworm');
    [bulkhead = '', node = ''] = await Promise.all(files.map((file) => machine.push(file)));
  });

  after(() => machine?.down());

  it('bulkhead alone is refused, and says what it lacks', async () => {
    const { status, stdout, stderr } = await machine.run(`apt-get install --yes ${bulkhead}`);
    assert.notEqual(status, 0);
    assert.match(`${stdout}${stderr}`, /Depends: nodejs \(>= 20\)|bulkhead-node/);
    assert.notEqual((await machine.run('dpkg -s bulkhead')).status, 0);
  });

  it('with bulkhead-node it is installed and runs on that', async () => {
    await machine.get(`apt-get install --yes ${node} ${bulkhead} 2>&1`);
    assert.equal(await machine.get('systemctl is-active bulkheadd'), 'active');
    assert.equal(
      await machine.get('readlink /proc/$(systemctl show -P MainPID bulkheadd)/exe'),
      '/usr/lib/bulkhead/node',
    );
    assert.match(await machine.get('/usr/lib/bulkhead/node --version'), /^v24\./);
    assert.match(await machine.get('node --version'), /^v18\./);
  });

  it('the units are understood, but for two keys that are newer', async () => {
    // It loads other units, too, and complains about theirs.
    const said = await machine.get(
      "systemd-analyze verify --man=no bulkheadd.service bulkhead-spawner.service plugin@x.service plugin.slice 2>&1 | grep -E 'bulkhead|plugin'",
    );
    const unknown = [...said.matchAll(/^(\S+):\d+: Unknown key '(\w+)' in section \[Service\], ignoring\.$/gm)];
    assert.equal(said.split('\n').length, unknown.length, said);
    assert.deepEqual(
      unknown.map(([, file, key]) => [file, key]),
      [
        ['/lib/systemd/system/bulkheadd.service', 'FileDescriptorStorePreserve'],
        ['/lib/systemd/system/plugin@.service', 'RestartMode'],
      ],
    );
  });

  it('the descriptors that systemd keeps survive a restart of the supervisor there, too', async () => {
    await machine.get(
      'install -D -t /opt/plugin/hello/v1 /usr/share/doc/bulkhead/examples/hello-python/*.py && cp /usr/share/doc/bulkhead/examples/hello-python/hello-python.yaml /etc/bulkhead/plugins/hello.yaml && systemctl start plugin@hello',
    );
    const inode = 'ss -Hltne sport = :8081 | grep -o "ino:[0-9]*"';
    const before = await machine.get(inode);
    await machine.get('systemctl restart bulkheadd && curl -sS --max-time 5 http://127.0.0.1:8081/');
    assert.equal(await machine.get(inode), before);
  });

  it('both are purged without a trace of Node.js', async () => {
    await machine.get('dpkg --purge bulkhead bulkhead-node 2>&1');
    assert.equal(
      await machine.get('find / -xdev -path /root -prune -o -path "*bulkhead*" -not -path "/proc/*" -print'),
      '',
    );
  });
});
