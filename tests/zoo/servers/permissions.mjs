// Who may do what. Permissions are worked out once for a user.
import express from 'express';

const app = express();

class User {
    constructor(name, roles) {
        this.name = name;
        this.roles = roles;
    }
}

class PermissionCache {
    constructor() {
        this.byUser = new Map();
    }
    of(user) {
        let granted = this.byUser.get(user);
        if (!granted) {
            granted = new Set(user.roles.flatMap((role) => ['read', 'write', 'share'].map((verb) => `${role}:${verb}`)));
            this.byUser.set(user, granted);
        }
        return granted;
    }
}

const permissions = new PermissionCache();

app.use((req, res, next) => {
    const name = req.get('x-user') ?? 'anna';
    req.user = new User(name, ['editor', 'author', `team-${name.length}`]);
    next();
});

app.get('/documents/:id', (req, res) => {
    if (!permissions.of(req.user).has('editor:read')) return res.sendStatus(403);
    res.json({ id: req.params.id, text: 'Lorem ipsum '.repeat(20) });
});

app.get('/documents', (req, res) => res.json(Array.from({ length: 200 }, (_, id) => ({ id, title: `Document ${id}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
