import assert from 'node:assert/strict';
import { Machine, makePackage } from './package-machine.ts';

interface Cut {
  /** A step of a change of version, as the state on disk names it. */
  readonly step: string;
  /** Which version is live if the power is gone then. */
  readonly live: string;
  /** What holds the step: more about how it is to change, another version, and what is asked for in the canary. */
  readonly upgrade?: string;
  /** What is declared, v1 unless given, and when it is ready. */
  readonly from?: string;
  readonly ready?: string;
  readonly to?: string;
  readonly inCanary?: string;
}

/** In the same sandboxes, by programs that read their directory anew. */
const IN_PLACE = { from: 'r1', to: 'r2', ready: 'notify', upgrade: ', way: in-place' } as const;

const CUTS: readonly Cut[] = [
  { step: 'planning', live: 'v1' },
  { step: 'verifying', live: 'v1', upgrade: ", check: [/bin/sleep, '60'], check-timeout: 2min" },
  { step: 'preparing', live: 'v1' },
  { step: 'starting', live: 'v1' },
  { step: 'canary', live: 'v1' },
  { step: 'draining', live: 'v2' },
  // Undone or finished is as good here: both are whole.
  { step: 'committing', live: 'v[12]' },
  { ...IN_PLACE, step: 'switching', live: 'r1' },
  { ...IN_PLACE, step: 'baking', live: 'r1' },
  // What goes back may not go at all.
  { step: 'undoing', live: 'v1', to: 'deaf', inCanary: 'bulkheadctl rollback hello --no-wait >/dev/null' },
];

/** The canary of one that is to be asked for the way back lasts until that was asked for, on a busy machine, too. */
function declaration({ upgrade = '', from = 'v1', ready = 'exec', inCanary }: Omit<Cut, 'step' | 'live'>): string {
  const bake = inCanary === undefined ? '1s' : '60s';
  return `cat >/etc/bulkhead/plugins/hello.yaml <<'YAML'
template: python
version: ${from}
listen: [{ tcp: 127.0.0.1:8081 }]
health: { ready: ${ready} }
upgrade: { canary: [30%], bake: ${bake}, drain: 5s, judge: { errors: infinity, latency: infinity }${upgrade} }
YAML`;
}

describe('a host that loses its power in the middle of a change of version', function () {
  this.timeout(400_000);
  let machine: Machine;

  before(async () => {
    machine = await Machine.up('upgrade-power', '--deb', await makePackage('bulkhead'));
    for (const version of ['v1', 'v2'])
      for (const file of ['main.py', 'activity.py'])
        await machine.push(`templates/examples/hello-python/${file}`, `/opt/plugin/hello/${version}/${file}`);
    await machine.push('templates/examples/hello-python/main.py', '/opt/plugin/hello/deaf/hello.py');
    await machine.push('templates/examples/hello-python/activity.py', '/opt/plugin/hello/deaf/activity.py');
    await machine.push('test/upgrades/bad/ignores-term.py', '/opt/plugin/hello/deaf/main.py');
    for (const version of ['r1', 'r2']) {
      await machine.push('test/upgrades/reloading/main.py', `/opt/plugin/hello/${version}/main.py`);
      await machine.get(`cd /opt/plugin/hello/${version} && echo ${version} >answer && echo ${version} >again`);
    }
    await machine.get('chmod -R a+rX /opt/plugin && systemctl enable plugin@hello');
  });

  after(() => machine?.down());

  for (const cut of CUTS) {
    const { step, live, to = 'v2', inCanary = ':' } = cut;
    it(`comes back from '${step}' with one version, whole`, async () => {
      // Each begins with the version that is declared, whatever the one before left.
      await machine.get(`${declaration(cut)}
        systemctl stop plugin@hello; rm -f /var/lib/bulkhead/live/hello.json; systemctl start plugin@hello`);
      // A connection that rests keeps the old side until the end of its drain: that step lasts.
      const seen = await machine.run(`exec 3<>/dev/tcp/127.0.0.1/8081
        bulkheadctl upgrade hello ${to} --no-wait --force >/dev/null || exit 1
        asked=no
        until [[ $SECONDS -gt 120 ]]; do
          # Without a process for each look: a step may be over in milliseconds.
          read -r -d '' state </run/bulkhead/plugin/hello.json || true
          [[ $state != *'"step":"${step}"'* ]] || exit 0
          if [[ $asked == no && $state == *'"step":"canary"'* ]]; then asked=yes; ${inCanary}; fi
        done
        exit 2`);
      assert.equal(seen.status, 0, seen.stderr);
      await machine.powerCycle();
      await machine.get(
        'for n in $(seq 100); do curl -sS http://127.0.0.1:8081/ 2>/dev/null && exit; sleep 0.1; done; exit 1',
      );
      const said = JSON.parse(await machine.get('bulkheadctl status hello --json')) as {
        readonly version: string;
        readonly state: string;
        readonly upgrade: unknown;
        readonly sandboxes: readonly { readonly slot: string }[];
      };
      assert.match(said.version, new RegExp(`^${live}$`));
      assert.deepEqual(
        { state: said.state, upgrade: said.upgrade, sandboxes: said.sandboxes.length },
        { state: 'running', upgrade: null, sandboxes: 1 },
      );
      const record = await machine.get('cat /var/lib/bulkhead/live/hello.json 2>/dev/null || echo {}');
      assert.equal((JSON.parse(record) as { underWay?: unknown }).underWay ?? null, null, record);
      assert.equal(await machine.get('systemctl --failed --no-legend'), '');
      // And the next change works.
      await machine.get(`${declaration({})}
        bulkheadctl upgrade hello v2 --force || test $? = 7`);
    });
  }
});
