import assert from 'node:assert/strict';
import { parseEndpoint } from '../../../src/declare/endpoint.ts';
import { helperNeeds, hostsText, planNetwork } from '../../../src/plan/network.ts';
import { examplePlan } from '../../support/plans.ts';

function egress(...texts: readonly string[]): ReturnType<typeof planNetwork> {
  const endpoints = texts.map(parseEndpoint).flatMap((each) => ('refused' in each ? [] : [each]));
  assert.equal(endpoints.length, texts.length);
  return planNetwork({ mode: 'egress', egress: endpoints });
}

describe('the planned network', () => {
  it('has addresses under themselves, and names at one address each', () => {
    const { endpoints } = egress('10.0.0.1:1', '[::1]:2', 'a.test:3', 'b.test:3', 'a.test:4');
    assert.deepEqual(
      endpoints.map(({ inside }) => inside),
      ['10.0.0.1:1', '[::1]:2', '127.83.0.1:3', '127.83.0.2:3', '127.83.0.1:4'],
    );
  });

  it('never gives a name the address of an endpoint that is declared by it', () => {
    const { endpoints } = egress('a.test:1', '127.83.0.1:1', 'b.test:1', '127.83.0.2:9');
    assert.deepEqual(
      endpoints.map(({ inside }) => inside),
      ['127.83.0.3:1', '127.83.0.1:1', '127.83.0.4:1', '127.83.0.2:9'],
    );
  });

  it('has as many names as can be declared, each with an address of its own', () => {
    const { endpoints } = egress(...Array.from({ length: 64 }, (_, index) => `n${index}.test:1`));
    assert.equal(new Set(endpoints.map(({ inside }) => inside)).size, 64);
  });

  it('has a hosts file for names only, each once', () => {
    assert.equal(hostsText(egress('10.0.0.1:1')), undefined);
    assert.equal(
      hostsText(egress('a.test:3', 'b.test:3', 'a.test:4')),
      '127.0.0.1 localhost\n::1 localhost\n127.83.0.1 a.test\n127.83.0.2 b.test\n',
    );
  });

  it('takes tasks and memory for what serves it', () => {
    const adapted = { key: 'k', listen: { kind: 'tcp', host: '::', port: 1, name: 'n', backlog: 1, to: 2 } } as const;
    const { network: none } = examplePlan();
    const needs = [
      helperNeeds({ network: none, listeners: [] }, {}, undefined),
      helperNeeds({ network: egress('10.0.0.1:1'), listeners: [] }, {}, undefined),
      helperNeeds({ network: egress('a.test:1'), listeners: [adapted] }, {}, undefined),
    ];
    assert.deepEqual(
      needs.map(({ tasks }) => tasks),
      [0, 1, 3],
    );
    assert.deepEqual(
      needs.map(({ memory }) => memory >> 20),
      [0, 1, 3],
    );
  });
});
