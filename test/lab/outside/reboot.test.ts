import assert from 'node:assert/strict';
import { Machine, makePackage } from './package-machine.ts';

describe('a host that loses its power', function () {
  this.timeout(180_000);
  let machine: Machine;

  before(async () => {
    machine = await Machine.up('reboot', '--deb', await makePackage('bulkhead'));
    await machine.get('mkdir -p /root/hello');
    for (const file of ['main.py', 'activity.py'])
      await machine.push(`templates/examples/hello-python/${file}`, `/root/hello/${file}`);
    await machine.get('bulkheadctl install hello /root/hello --version v1');
    await machine.push('templates/examples/hello-python/hello-python.yaml', '/etc/bulkhead/plugins/hello.yaml');
  });

  after(() => machine?.down());

  it('comes back with the plugins that are enabled, and with nothing of before', async () => {
    await machine.get('systemctl enable --now plugin@hello');
    assert.match(await machine.get('curl -sS http://127.0.0.1:8081/'), /^hello/);
    await machine.powerCycle();
    const wait = 'for n in $(seq 100); do curl -sS http://127.0.0.1:8081/ 2>/dev/null && exit; sleep 0.1; done; exit 1';
    assert.match(await machine.get(wait), /^hello/);
    assert.match(await machine.get('bulkheadctl list'), /hello +running +1\/1/);
    assert.equal(await machine.get('ls /run/bulkhead/sandbox'), 'plugin-hello-a-g1.service.json');
    assert.equal(await machine.get('systemctl --failed --no-legend'), '');
    assert.match(await machine.get('bulkheadctl versions hello'), /v1 +live +[0-9a-f]{16} /);
    assert.match(await machine.get('bulkheadctl install hello /root/hello --version v1'), /was installed already/);
  });
});
