import assert from 'node:assert/strict';
import { FAILURE_CLASS_NAMES } from '../../../src/base/failure-class.ts';
import { catalogText, messageId } from '../../../src/record/messages.ts';

describe('the catalog of messages', () => {
  const text = catalogText();

  it('has an entry for each class of failure', () => {
    for (const name of FAILURE_CLASS_NAMES) {
      const id = messageId('incident', name);
      assert.match(text, new RegExp(`^-- ${id}\\nSubject: .+\\n`, 'm'), name);
    }
  });

  it('has each id once, as 32 digits', () => {
    const ids = [...text.matchAll(/^-- (.*)$/gm)].map(([, id]) => id ?? '');
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      ids.filter((id) => !/^[0-9a-f]{32}$/.test(id)),
      [],
    );
  });

  it('names only fields that entries have, since every at sign begins one', () => {
    const fields = [...text.matchAll(/@([^@]*)@/g)].map(([, field]) => field ?? '');
    assert.deepEqual(
      fields.filter((field) => !/^BULKHEAD_(PLUGIN|UNIT|VERSION|KIND|INCIDENT|LIMIT|UPGRADE)$/.test(field)),
      [],
    );
    assert.equal(text.split('@').length % 2, 1);
  });

  it('gives ordinary lines no id', () => {
    assert.equal(messageId('ready', undefined), undefined);
    assert.match(messageId('quarantined', undefined) ?? '', /^[0-9a-f]{32}$/);
  });
});
